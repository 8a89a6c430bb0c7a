# tests/jail
