# tests/attack
