"""Metrics and health over HTTP: read only, bounded, on the loopback interface unless the settings say otherwise."""

from ingestd.web.health import Check, Health, HealthFacts, assess
from ingestd.web.readings import catalogue_query
from ingestd.web.server import WebServer

__all__ = ["Check", "Health", "HealthFacts", "WebServer", "assess", "catalogue_query"]
