"""admin_api: owns the directory of companies, and keeps what was told readable."""
