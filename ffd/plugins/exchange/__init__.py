"""Data exchanges: `loopback` reaches this node alone, `https` others, `memory` those of one run of a test."""
