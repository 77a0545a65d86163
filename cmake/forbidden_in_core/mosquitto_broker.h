#error "plugin/core is pure: no Mosquitto here (docs/architecture.md)"
