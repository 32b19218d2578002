//go:build tools

// Package tools names the etcd binaries that are packed into the official image's reference, so that go.mod keeps
// their dependencies.
package tools

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
