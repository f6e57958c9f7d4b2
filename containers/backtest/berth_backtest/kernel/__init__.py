"""The numbers: indicator tables, and the accounting of many parameter sets at once."""
