#error "plugin/core is pure: no RocksDB here (docs/architecture.md)"
