"""What the listener takes: SOP classes and transfer syntaxes, by UID. The conformance statement lists the same."""

from pydicom.uid import UID

ULTRASOUND = (
    UID("1.2.840.10008.5.1.4.1.1.3.1"),  # Ultrasound Multi-frame Image
    UID("1.2.840.10008.5.1.4.1.1.3"),  # Ultrasound Multi-frame Image (retired; old machines still send it)
    UID("1.2.840.10008.5.1.4.1.1.6.1"),  # Ultrasound Image
    UID("1.2.840.10008.5.1.4.1.1.6"),  # Ultrasound Image (retired)
)
SECONDARY_CAPTURE = (
    UID("1.2.840.10008.5.1.4.1.1.7"),  # Secondary Capture Image
    UID("1.2.840.10008.5.1.4.1.1.7.2"),  # Multi-frame Grayscale Byte Secondary Capture Image
    UID("1.2.840.10008.5.1.4.1.1.7.4"),  # Multi-frame True Color Secondary Capture Image
)
"""Some machines and gateways send cine as Secondary Capture. Multi-frame bit and word captures are no ultrasound, and are not offered."""

RETIRED = {"UltrasoundMultiFrameImageStorageRetired": ULTRASOUND[1], "UltrasoundImageStorageRetired": ULTRASOUND[3]}
"""By the keywords pynetdicom gets to know them under."""

STORED = ULTRASOUND + SECONDARY_CAPTURE

_ENCAPSULATED = "50 51 57 70 80 81 90 91 201 202 203 100 100.1 101 101.1 102 102.1 103 103.1 104 104.1 105 105.1 106 106.1 107 108"
"""JPEG baseline, extended, lossless (two); JPEG-LS; JPEG 2000; HTJ2K; MPEG-2; H.264, each also fragmentable; HEVC."""

TRANSFER_SYNTAXES = (
    UID("1.2.840.10008.1.2.1"),  # Explicit VR Little Endian
    UID("1.2.840.10008.1.2"),  # Implicit VR Little Endian
    UID("1.2.840.10008.1.2.1.99"),  # Deflated Explicit VR Little Endian
    UID("1.2.840.10008.1.2.2"),  # Explicit VR Big Endian (retired)
    UID("1.2.840.10008.1.2.5"),  # RLE Lossless
    *(UID(f"1.2.840.10008.1.2.4.{last}") for last in _ENCAPSULATED.split()),
)
"""Taken in whatever order the sender prefers. An object that the reader cannot decode is stored all the same, and its job says so:
refusing it in the negotiation would only be seen in the sender's log."""
