// Package build compiles the binaries and packs the images that the local Kubernetes consists of, once for each
// version, into a cache outside the checkout.
package build

import (
	"path/filepath"
	"strings"
)

// Versions of what is compiled; the modules below hack/tools pin the same ones.
const (
	KubernetesVersion  = "v1.36.3"
	CoreDNSVersion     = "1.15.0"
	CertManagerVersion = "v1.21.2"
)

// EtcdVersions are the etcd releases whose images are packed; the control plane runs on the last one.
func EtcdVersions() []string { return []string{"3.5.35", "3.6.16", "3.7.3"} }

// binaries is one set of programs that are built together from one module.
type binaries struct {
	name    string
	version string
	// module is the directory of the module, relative to hack.
	module string
	// sources are directories, relative to hack, whose files are part of the cache key beside go.mod and go.sum.
	sources []string
	ldflags string
	// packages maps import paths to the names of the programs; "go build" may name them otherwise.
	packages map[string]string
	// manifests are kept beside the programs, in manifestsDirectory.
	manifests moduleDirectory
}

// moduleDirectory is a directory of a Go module that another one requires.
type moduleDirectory struct{ module, directory string }

// manifestsDirectory is where the manifests of a set are, below its directory of the cache.
const manifestsDirectory = "manifests"

func kubernetes() binaries {
	programs := map[string]string{}
	for _, name := range []string{
		"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
	} {
		programs["k8s.io/kubernetes/cmd/"+name] = name
	}
	return binaries{
		name: "kubernetes", version: KubernetesVersion, module: "tools/kubernetes", packages: programs,
		ldflags: "-s -w -X k8s.io/component-base/version.gitVersion=" + KubernetesVersion,
	}
}

func etcd(version string) binaries {
	minor := version[:strings.LastIndexByte(version, '.')]
	return binaries{
		name: "etcd", version: "v" + version, module: "tools/etcd-" + minor, ldflags: "-s -w",
		packages: map[string]string{
			"go.etcd.io/etcd/server/v3":  "etcd",
			"go.etcd.io/etcd/etcdctl/v3": "etcdctl",
			"go.etcd.io/etcd/etcdutl/v3": "etcdutl",
		},
	}
}

func coreDNS() binaries {
	return binaries{
		name: "coredns", version: "v" + CoreDNSVersion, module: "tools/coredns", ldflags: "-s -w",
		sources:  []string{"tools/coredns"},
		packages: map[string]string{"github.com/quorate/quorate/hack/tools/coredns": "coredns"},
	}
}

func certManager() binaries {
	return binaries{
		name: "cert-manager", version: CertManagerVersion, module: "tools/cert-manager", ldflags: "-s -w",
		sources:   []string{"tools/cert-manager"},
		packages:  map[string]string{"github.com/quorate/quorate/hack/tools/cert-manager": "cert-manager"},
		manifests: moduleDirectory{module: "github.com/cert-manager/cert-manager", directory: "deploy/crds"},
	}
}

func pause() binaries {
	return binaries{
		name: "pause", version: "1", module: "kube", ldflags: "-s -w",
		sources:  []string{"kube/cmd/pause"},
		packages: map[string]string{"./cmd/pause": "pause"},
	}
}

func provisioner() binaries {
	return binaries{
		name: "volume-provisioner", version: "1", module: "kube", ldflags: "-s -w",
		sources: []string{
			"kube/cmd/volume-provisioner", "kube/internal/storage", "kube/internal/volume", "kube/internal/command",
		},
		packages: map[string]string{"./cmd/volume-provisioner": "volume-provisioner"},
	}
}

// CertManager is what cert-manager is installed from.
type CertManager struct {
	// Image is the tarball of CertManagerImage; its path changes with its content.
	Image string
	// CRDs is a directory of manifests.
	CRDs string
}

// Artifacts says in which directories of the cache the built things are. A running cluster remembers them, so that
// its commands need no toolchain.
type Artifacts struct {
	KubernetesDir  string            `json:"kubernetes"`
	EtcdDirs       map[string]string `json:"etcd"` // by version
	CoreDNSDir     string            `json:"coreDNS"`
	PauseDir       string            `json:"pause"`
	ProvisionerDir string            `json:"provisioner"`
	// ImageStore is a containerd root with the images that every node needs.
	ImageStore string `json:"imageStore"`
}

// Kubernetes is the path of a program of Kubernetes, such as "kubelet".
func (a Artifacts) Kubernetes(program string) string { return filepath.Join(a.KubernetesDir, program) }

// Etcd is the path of etcd, etcdctl or etcdutl of the version that the control plane runs on.
func (a Artifacts) Etcd(program string) string {
	versions := EtcdVersions()
	return filepath.Join(a.EtcdDirs[versions[len(versions)-1]], program)
}

// Provisioner is the path of the volume provisioner.
func (a Artifacts) Provisioner() string { return filepath.Join(a.ProvisionerDir, "volume-provisioner") }

// References of the images that the cluster itself and its add-ons use.
const (
	PauseImage       = "quorate.local/pause:1"
	CoreDNSImage     = "quorate.local/coredns:" + CoreDNSVersion
	CertManagerImage = "quorate.local/cert-manager:" + CertManagerVersion
)

// EtcdImage is the official reference of an etcd release.
func EtcdImage(version string) string { return "gcr.io/etcd-development/etcd:v" + version }
