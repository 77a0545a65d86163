#error "plugin/core does no I/O: no mosquitto here (docs/architecture.md)"
