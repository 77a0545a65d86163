#error "plugin/core is pure: no log but LogLine here (docs/architecture.md)"
