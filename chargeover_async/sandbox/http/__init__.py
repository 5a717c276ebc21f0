"""The sandbox over HTTP: credentials, quota, faults, log, control plane, page, webhooks."""
