#error "plugin/core is pure: no MQTT client here (docs/architecture.md)"
