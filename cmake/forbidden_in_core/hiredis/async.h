#error "plugin/core is pure: no Redis here (docs/architecture.md)"
