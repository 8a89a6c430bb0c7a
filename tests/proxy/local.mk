# tests/proxy
