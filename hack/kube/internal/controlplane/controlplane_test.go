package controlplane

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"github.com/quorate/quorate/hack/kube/internal/kubeapi"
	"github.com/quorate/quorate/hack/kube/internal/layout"
	"github.com/quorate/quorate/hack/kube/internal/network"
)

func sample(t *testing.T) ControlPlane {
	t.Helper()
	ranges, err := network.ChooseRanges(nil)
	if err != nil {
		t.Fatal(err)
	}
	return ControlPlane{Layout: layout.Layout{Dir: t.TempDir()}, Ranges: ranges}
}

func TestNoFlagIsGivenTwice(t *testing.T) {
	plane := sample(t)
	for _, argv := range [][]string{
		plane.etcdArgv(), plane.apiserverArgv(), plane.controllerManagerArgv(), plane.schedulerArgv(), plane.provisionerArgv(),
	} {
		seen := map[string]bool{}
		for _, arg := range argv[1:] {
			name, _, _ := strings.Cut(arg, "=")
			if seen[name] {
				t.Errorf("%s gets %s twice", argv[0], name)
			}
			seen[name] = true
		}
	}
}

func TestPreparedCertificatesAreGoodForTheirServers(t *testing.T) {
	plane := sample(t)
	if err := plane.Prepare(); err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(plane.certificate(ClusterAuthority))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		t.Fatal("the authority is no certificate")
	}
	for server, names := range map[string][]string{
		"apiserver": {"10.244.0.1", "10.96.0.1", "127.0.0.1", "kubernetes.default.svc"},
		"etcd":      {"10.244.0.1"},
	} {
		pair, err := tls.LoadX509KeyPair(plane.certificate(server), plane.key(server))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
				t.Errorf("the certificate of %s is no good for %s: %v", server, name, err)
			}
		}
	}
	for file := range plane.users() {
		if _, err := kubeapi.NewClient(file); err != nil {
			t.Errorf("kubeconfig %s: %v", file, err)
		}
	}
}
