"""What comes in: the DICOM listener, STOW-RS, Storage Commitment as SCP, and the intake that makes jobs of it."""
