// Package integration tests Quorate against a real kube-apiserver and its etcd, without nodes: what the API accepts,
// refuses and prints.
package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/quorate/quorate/api/v1alpha1"
)

// APIServer is a running kube-apiserver with an etcd of its own and the CRDs of this checkout, on loopback addresses.
// There is no controller manager, scheduler or kubelet: nothing is garbage collected and no Pod runs.
type APIServer struct {
	// Config has the rights of system:masters.
	Config *rest.Config
	// Client has no cache.
	Client client.Client

	environment *envtest.Environment
}

// StartAPIServer starts the binaries that `make kube-build` left in the cache. It fails when they are missing.
func StartAPIServer() (*APIServer, error) {
	root, err := checkoutRoot()
	if err != nil {
		return nil, err
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:        []string{filepath.Join(root, "config", "crd", "bases")},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: 2 * time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	environment.ControlPlane.Etcd = &envtest.Etcd{}
	if environment.ControlPlane.Etcd.Path, err = etcd().find(root); err != nil {
		return nil, err
	}
	if environment.ControlPlane.GetAPIServer().Path, err = kubeAPIServer().find(root); err != nil {
		return nil, err
	}
	server := &APIServer{environment: environment}
	if server.Config, err = environment.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start kube-apiserver and etcd: %w", err), environment.Stop())
	}
	if server.Client, err = newClient(server.Config); err != nil {
		return nil, errors.Join(err, environment.Stop())
	}
	return server, nil
}

// Stop ends kube-apiserver and etcd and removes their files.
func (s *APIServer) Stop() error { return s.environment.Stop() }

func newClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register kinds: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("create a client: %w", err)
	}
	return c, nil
}

// checkoutRoot finds the directory of go.mod: tests run in the directory of their package.
func checkoutRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "hack", "tools", "kubernetes", "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("the checkout of quorate is not above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// binary is a program that `make kube-build` compiles into the cache, below a directory SET-VERSION....
type binary struct {
	set, program string
	// tool is the directory below hack/tools whose go.mod pins the version of module.
	tool, module string
}

func etcd() binary {
	return binary{set: "etcd", program: "etcd", tool: "etcd-3.7", module: "go.etcd.io/etcd/server/v3"}
}

func kubeAPIServer() binary {
	return binary{set: "kubernetes", program: "kube-apiserver", tool: "kubernetes", module: "k8s.io/kubernetes"}
}

// find returns the newest build of the pinned version.
func (b binary) find(root string) (string, error) {
	modFile := filepath.Join(root, "hack", "tools", b.tool, "go.mod")
	content, err := os.ReadFile(modFile)
	if err != nil {
		return "", fmt.Errorf("find the version of %s: %w", b.program, err)
	}
	requirement := regexp.MustCompile(`(?m)^(?:require|\t)\s*` + regexp.QuoteMeta(b.module) + ` (v\S+)`)
	found := requirement.FindSubmatch(content)
	if found == nil {
		return "", fmt.Errorf("find the version of %s: %s does not require %s", b.program, modFile, b.module)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	pattern := filepath.Join(cache, b.set+"-"+string(found[1])+"*", b.program)
	builds, err := filepath.Glob(pattern)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", b.program, err)
	}
	if path := newest(builds); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("no %s at %s: run `make kube-build` (some minutes, once)", b.program, pattern)
}

func cacheDir() (string, error) {
	if dir := os.Getenv("QUORATE_CACHE"); dir != "" {
		return dir, nil
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory (set QUORATE_CACHE to choose one): %w", err)
	}
	return filepath.Join(base, "quorate"), nil
}

// newest returns the path that was modified last, or "" when there is none.
func newest(paths []string) string {
	var path string
	var modified time.Time
	for _, candidate := range paths {
		info, err := os.Stat(candidate)
		if err == nil && (path == "" || info.ModTime().After(modified)) {
			path, modified = candidate, info.ModTime()
		}
	}
	return path
}
