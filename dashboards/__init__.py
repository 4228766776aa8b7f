"""Dashboards and alert rules, made from the metrics that the controller emits."""
