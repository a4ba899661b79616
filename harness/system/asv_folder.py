"""The one folder that asv and this harness write to, beside asv's configuration."""

NAME = ".asv"
