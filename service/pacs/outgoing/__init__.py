"""What goes out: deliveries by C-STORE and STOW-RS, Storage Commitment as SCU, and questions to archives."""
