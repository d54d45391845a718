"""The configuration of the services: frozen models of ``config/service``.

Every field has its place in YAML and an environment variable ``DAX_VO_``
and the name in upper case; the environment wins.  Nothing is read when this
module is imported.
"""

from ._delivery import DeliveryConfig
from ._links import LinksConfig, resolve_links
from ._load import load_service_config
from ._models import DatasetOrigin, Limits, RepositoryConfig, ServiceConfig, SigningKey
from ._problems import explain_problem, explain_validation, key_of

__all__ = [
    "DatasetOrigin",
    "DeliveryConfig",
    "Limits",
    "LinksConfig",
    "RepositoryConfig",
    "ServiceConfig",
    "SigningKey",
    "explain_problem",
    "explain_validation",
    "key_of",
    "load_service_config",
    "resolve_links",
]
