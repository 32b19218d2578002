// Package layout says where the local Kubernetes keeps its files and under which fixed names it runs.
package layout

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strconv"
)

// defaultDir is where the cluster lives that "make kube-up" starts. A cluster with another directory is separate from
// it in everything, so that both can run at once.
const defaultDir = "/var/lib/quorate-kube"

// Layout holds the two directories that everything else is derived from.
type Layout struct {
	// Dir holds all state of the running cluster and is removed by "down". It must be short: unix sockets below it
	// may have at most 107 characters.
	Dir string
	// Cache holds built binaries and images and outlives the cluster.
	Cache string
}

// FromEnvironment reads QUORATE_KUBE_DIR and QUORATE_CACHE, whose defaults are /var/lib/quorate-kube and
// ~/.cache/quorate.
func FromEnvironment() (Layout, error) {
	dir := os.Getenv("QUORATE_KUBE_DIR")
	if dir == "" {
		dir = defaultDir
	}
	cache := os.Getenv("QUORATE_CACHE")
	if cache == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return Layout{}, fmt.Errorf("find the cache directory (set QUORATE_CACHE to choose one): %w", err)
		}
		cache = filepath.Join(base, "quorate")
	}
	if err := checkDir(dir); err != nil {
		return Layout{}, err
	}
	if !filepath.IsAbs(cache) {
		return Layout{}, fmt.Errorf("QUORATE_CACHE must be an absolute path, got %q", cache)
	}
	return Layout{Dir: filepath.Clean(dir), Cache: filepath.Clean(cache)}, nil
}

// checkDir refuses state directories that "down" must never remove or that are too long for sockets.
func checkDir(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("QUORATE_KUBE_DIR must be an absolute path, got %q", dir)
	}
	clean := filepath.Clean(dir)
	if filepath.Dir(filepath.Dir(clean)) == filepath.Dir(clean) {
		return fmt.Errorf("QUORATE_KUBE_DIR must lie at least two levels deep, because it is removed as a whole, got %q", dir)
	}
	if len(clean) > 48 {
		return fmt.Errorf("QUORATE_KUBE_DIR must have at most 48 characters, got %d in %q", len(clean), dir)
	}
	return nil
}

// StateFile records what was started, see package cluster.
func (l Layout) StateFile() string { return filepath.Join(l.Dir, "state.json") }

// Kubeconfig is the administrator's kubeconfig.
func (l Layout) Kubeconfig() string { return filepath.Join(l.Dir, "kubeconfig") }

// AuditLog gets one JSON line for each write request to the apiserver.
func (l Layout) AuditLog() string { return filepath.Join(l.Dir, "audit.log") }

// Config holds rendered configuration files of the control plane.
func (l Layout) Config() string { return filepath.Join(l.Dir, "config") }

// PKI holds certificates and keys.
func (l Layout) PKI() string { return filepath.Join(l.Dir, "pki") }

// Logs holds one file for each process.
func (l Layout) Logs() string { return filepath.Join(l.Dir, "log") }

// Processes holds one record for each started process.
func (l Layout) Processes() string { return filepath.Join(l.Dir, "run") }

// EtcdData is the data directory of the control plane's etcd.
func (l Layout) EtcdData() string { return filepath.Join(l.Dir, "etcd") }

// NetNS is the file that a network namespace is pinned to.
func (l Layout) NetNS(name string) string { return filepath.Join(l.Dir, "netns", name) }

// Volumes is the directory under which volumes are mounted, as NODE/PV.
func (l Layout) Volumes() string { return filepath.Join(l.Dir, "volumes") }

// Disks holds the files behind the volumes, as NODE/PV.img.
func (l Layout) Disks() string { return filepath.Join(l.Dir, "disks") }

// LoadedImages holds the image tarballs that were loaded, for nodes that start later.
func (l Layout) LoadedImages() string { return filepath.Join(l.Dir, "images") }

// Nodes holds one directory for each node.
func (l Layout) Nodes() string { return filepath.Join(l.Dir, "nodes") }

// Node is the directory of one node.
func (l Layout) Node(name string) string { return filepath.Join(l.Nodes(), name) }

// CgroupRoot is the cgroup below which every process of the cluster lives, in every hierarchy.
func (l Layout) CgroupRoot() string { return "/" + filepath.Base(l.Dir) }

// ControlPlaneCgroup holds etcd, the apiserver and the other processes that run in the host's network.
func (l Layout) ControlPlaneCgroup() string { return l.CgroupRoot() + "/control-plane" }

// BuildCgroup holds the containerd that unpacks images into the cache.
func (l Layout) BuildCgroup() string { return l.CgroupRoot() + "/build" }

// NodeCgroup holds everything that runs on one node.
func (l Layout) NodeCgroup(name string) string { return l.CgroupRoot() + "/" + name }

// NodeSystemCgroup holds a node's kubelet, containerd, kube-proxy and shims.
func (l Layout) NodeSystemCgroup(name string) string { return l.NodeCgroup(name) + "/system" }

// NodePodsCgroup is the cgroup root that a node's kubelet is given.
func (l Layout) NodePodsCgroup(name string) string { return l.NodeCgroup(name) + "/pods" }

// HostInterface is the host's end of its link to the nodes.
func (l Layout) HostInterface() string {
	if l.Dir == defaultDir {
		return "quorate0"
	}
	return fmt.Sprintf("quorate%04x", l.number())
}

// RouteMetric tells the black holes of one cluster from those of another; 0 is that of the default directory.
func (l Layout) RouteMetric() int {
	if l.Dir == defaultDir {
		return 0
	}
	return int(l.number()) + 1
}

// number is a short stand-in for the directory.
func (l Layout) number() uint16 {
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(l.Dir))
	return uint16(hash.Sum32())
}

// NodeName is the name of the n-th worker, counted from 1.
func NodeName(n int) string { return "worker-" + strconv.Itoa(n) }

// NodeNumber is the inverse of NodeName.
func NodeNumber(name string) (int, error) {
	var n int
	if _, err := fmt.Sscanf(name, "worker-%d", &n); err != nil || n < 1 || NodeName(n) != name {
		return 0, fmt.Errorf("%q is no node name: the nodes are worker-1, worker-2 and so on", name)
	}
	return n, nil
}
