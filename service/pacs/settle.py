"""pynetdicom's settings, which are the whole process's: the listener and whoever opens an association settle them alike."""

import logging

from pynetdicom import _config
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import register_uid, uid_to_service_class

from service.pacs.incoming.syntaxes import RETIRED


def settle_pynetdicom() -> None:
    """Always to the same values, so that it does not matter who does it when. Its loggers quote what comes and goes, names included."""
    logging.getLogger("pynetdicom").propagate = False
    logging.getLogger("pydicom").propagate = False
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.STORE_SEND_CHUNKED_DATASET = True
    for keyword, uid in RETIRED.items():
        if uid_to_service_class(uid) is not StorageServiceClass:
            register_uid(uid, keyword, StorageServiceClass)
