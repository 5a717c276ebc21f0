"""Invoices, payments, and what is paid with."""
