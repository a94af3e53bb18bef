"""What travels between the endpoint and whoever calls it: routes, parameters, answers, refusals, each as a table.

Nothing here runs for an answer but the reading of base64: the gateway takes its routes, scopes and field names from the
tables, the guard which bodies it reads, the client its paths and what it decodes; :mod:`backend.serving.openapi` writes
them down as the document that is served at ``/openapi.json``.
"""
