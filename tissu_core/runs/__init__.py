"""The verbs, and the only place that knows how parts fit together.

Modules import torch inside their verbs, so that listing and watching stay instant.
"""
