package main

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

func withTLS() options {
	return options{version: "3.6.16", size: resource.MustParse("1Gi"), tls: true}
}

// mounted are the contents of all certificate files that the Pod's etcd is told to read, by flag.
func mounted(t *testing.T, pod *corev1.Pod, o objects) map[string]string {
	t.Helper()
	directories := map[string]map[string]string{}
	for _, m := range pod.Spec.Containers[0].VolumeMounts {
		for _, v := range pod.Spec.Volumes {
			if v.Name == m.Name {
				directories[m.MountPath] = contentOf(v, o)
			}
		}
	}
	files := map[string]string{}
	for _, arg := range pod.Spec.Containers[0].Args {
		flag, path, _ := strings.Cut(arg, "=")
		if !strings.HasPrefix(path, "/etc/") {
			continue
		}
		directory, name := path[:strings.LastIndex(path, "/")], path[strings.LastIndex(path, "/")+1:]
		content, found := directories[directory][name]
		if !found {
			t.Errorf("%s: nothing mounts %s", arg, path)
		}
		files[flag] = content
	}
	return files
}

func contentOf(v corev1.Volume, o objects) map[string]string {
	if v.ConfigMap != nil && v.ConfigMap.Name == o.Trust.Name {
		return o.Trust.Data
	}
	content := map[string]string{}
	for _, s := range o.Secrets {
		if v.Secret == nil || v.Secret.SecretName != s.Name {
			continue
		}
		for _, item := range v.Secret.Items {
			content[item.Path] = s.StringData[item.Key]
		}
	}
	return content
}

func TestFloorMountsCertificatesThatBelongTogether(t *testing.T) {
	o := withTLS()
	floor, err := manifestOf(t, o).bootstrap(3)
	if err != nil {
		t.Fatal(err)
	}
	cluster := o.cluster("ns", "demo", 3)
	for _, pod := range floor.Pods {
		files := mounted(t, pod, floor)
		want := []string{
			"--cert-file", "--key-file", "--peer-cert-file", "--peer-key-file", "--peer-trusted-ca-file", "--trusted-ca-file",
		}
		if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
			t.Fatalf("%s reads the files of %q, want %q", pod.Name, got, want)
		}
		for _, side := range []struct {
			certificate   state.CertificateName
			cert, key, ca string
		}{
			{state.PeerCertificate, "--peer-cert-file", "--peer-key-file", "--peer-trusted-ca-file"},
			{state.ServerCertificate, "--cert-file", "--key-file", "--trusted-ca-file"},
		} {
			pair := pki.Pair{Cert: []byte(files[side.cert]), Key: []byte(files[side.key])}
			cert, err := pki.ParsePair(pair)
			if err != nil {
				t.Fatalf("%s: %s: %v", pod.Name, side.cert, err)
			}
			if diff := pki.Differs(cert, resources.CertificateRequest(cluster, side.certificate, nil, 0)); diff != "" {
				t.Errorf("%s: %s differs from the operator's: it %s", pod.Name, side.cert, diff)
			}
			ca, err := pki.ParseBundle([]byte(files[side.ca]))
			if err != nil {
				t.Fatalf("%s: %s: %v", pod.Name, side.ca, err)
			}
			if err := ca.Verify(pair.Cert, x509.ExtKeyUsageServerAuth, time.Now()); err != nil {
				t.Errorf("%s: %s does not trust %s: %v", pod.Name, side.ca, side.cert, err)
			}
		}
	}
}

func TestFloorWithoutTLSHasNoCertificates(t *testing.T) {
	o := withTLS()
	o.tls = false
	floor, err := manifestOf(t, o).bootstrap(3)
	if err != nil {
		t.Fatal(err)
	}
	if len(floor.shared()) != 1 || len(floor.Pods[0].Spec.Volumes) != 1 {
		t.Errorf("there are %d shared objects and %d volumes, want the Service and the data alone",
			len(floor.shared()), len(floor.Pods[0].Spec.Volumes))
	}
	if show, err := manifestOf(t, o).Certificates.credentials(t.Context()); err != nil || !show.plain() {
		t.Errorf("its client shows certificates (%v)", err)
	}
}

func TestCredentialsOpenTheMembers(t *testing.T) {
	m, other := manifestOf(t, withTLS()), manifestOf(t, withTLS())
	for name, tc := range map[string]struct {
		client, server *certificates
		serverName     string
		works          bool
	}{
		"those of this cluster":         {m.Certificates, m.Certificates, "demo-0.demo-peers.ns.svc", true},
		"through the client Service":    {m.Certificates, m.Certificates, "demo-client.ns.svc", true},
		"a name that is not a member's": {m.Certificates, m.Certificates, "elsewhere.ns.svc", false},
		"those of another cluster":      {other.Certificates, m.Certificates, "demo-0.demo-peers.ns.svc", false},
	} {
		show, err := tc.client.credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		config, err := show.config()
		if err != nil {
			t.Fatal(err)
		}
		config.ServerName = tc.serverName
		if err := handshake(t, config, tc.server); (err == nil) != tc.works {
			t.Errorf("%s: handshake says %v, want success: %t", name, err, tc.works)
		}
	}
}

// handshake returns why client or server ended it.
func handshake(t *testing.T, config *tls.Config, served *certificates) error {
	t.Helper()
	certificate, err := tls.X509KeyPair(served.Server.Cert, served.Server.Key)
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := pki.ParseBundle(served.ClientCA.Cert)
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	server := tls.Server(far, &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientCAs: trusted.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	})
	verdict := make(chan error, 1)
	go func() {
		verdict <- server.HandshakeContext(t.Context())
		_ = far.Close()
	}()
	err = tls.Client(near, config).HandshakeContext(t.Context())
	_ = near.Close()
	if said := <-verdict; err == nil {
		err = said
	}
	return err
}
