#error "plugin/core is pure: no network here (docs/architecture.md)"
