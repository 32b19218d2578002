package resources

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/pki/pkitest"
	"github.com/quorate/quorate/internal/state"
)

// source is a Secret of somebody else, with a certificate and the CA that it is said to come from.
func source(leaf pki.Pair, ca []byte) *corev1.Secret {
	return &corev1.Secret{Data: map[string][]byte{"tls.crt": leaf.Cert, "tls.key": leaf.Key, "ca.crt": ca}}
}

func TestASourceThatCanBeUsedIsTaken(t *testing.T) {
	ca := pkitest.CA(t, "corporate", now)
	for name, tc := range map[string]struct {
		mode v1alpha1.TLSMode
		name state.CertificateName
		has  pki.Request
	}{
		"a server's with the names that the documentation asks for": {
			v1alpha1.TLSSecrets, state.ServerCertificate, pki.Request{
				CommonName: "anything", DNSNames: []string{
					"demo-0.shop.svc", "demo-1.shop.svc", "demo-2.shop.svc", "*.demo-peers.shop.svc", "localhost",
				}, IPs: []string{"127.0.0.1"}, Server: true, Client: true,
			},
		},
		"a server's with a wildcard": {
			v1alpha1.TLSSecrets, state.ServerCertificate, pki.Request{
				DNSNames: []string{"*.shop.svc", "*.demo-peers.shop.svc", "localhost"},
				IPs:      []string{"127.0.0.1"}, Server: true, Client: true,
			},
		},
		"a peers' of any common name": {
			v1alpha1.TLSSecrets, state.PeerCertificate, pki.Request{
				CommonName: "etcd", DNSNames: []string{"*.demo-peers.shop.svc"}, Server: true, Client: true,
			},
		},
		"a client's of any common name": {
			v1alpha1.TLSSecrets, state.OperatorCertificate, pki.Request{CommonName: "me", Client: true},
		},
		"what cert-manager was asked for": {
			v1alpha1.TLSCertManager, state.PeerCertificate,
			CertificateRequest(cluster(), state.PeerCertificate, nil, 0),
		},
		"a server's that cert-manager was asked for": {
			v1alpha1.TLSCertManager, state.ServerCertificate,
			CertificateRequest(cluster(), state.ServerCertificate, nil, 0),
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.has.Lifetime = time.Hour
			leaf := pkitest.Issue(t, ca, tc.has, now)
			c := cluster(tlsMode(tc.mode))
			got := ParseSource(c, tc.name, source(leaf, ca.Cert), CertificateRequest(c, tc.name, nil, 0), now)
			if got.Problem != "" {
				t.Fatalf("it is refused: %s", got.Problem)
			}
			if got.Secret != SourceSecretName(c, tc.name) || got.Fingerprint != pki.Fingerprint(pkitest.Certificate(t, leaf)) ||
				got.CA.ID != pkitest.Bundle(t, ca).Hash() || got.CA.Key {
				t.Errorf("it is told as %+v", got)
			}
		})
	}
}

func TestASourceThatCannotBeUsedIsToldBySecretAndKey(t *testing.T) {
	ca, other := pkitest.CA(t, "corporate", now), pkitest.CA(t, "corporate", now)
	server := CertificateRequest(cluster(tlsMode(v1alpha1.TLSSecrets)), state.ServerCertificate, nil, 0)
	peer := CertificateRequest(cluster(tlsMode(v1alpha1.TLSCertManager)), state.PeerCertificate, nil, 0)
	issue := func(change ...func(*pki.Request)) pki.Pair {
		r := server
		r.Lifetime = time.Hour
		for _, f := range change {
			f(&r)
		}
		return pkitest.Issue(t, ca, r, now)
	}
	good := issue()
	with := func(key string, value []byte) *corev1.Secret {
		s := source(good, ca.Cert)
		s.Data[key] = value
		return s
	}
	renamed := peer
	renamed.CommonName, renamed.Lifetime = "changed by the issuer", time.Hour
	for name, tc := range map[string]struct {
		secret *corev1.Secret
		want   pki.Request
		at     time.Time
		parts  []string
	}{
		"it is not there":         {nil, server, now, []string{"does not exist"}},
		"no certificate":          {with("tls.crt", nil), server, now, []string{"tls.crt", "lacks"}},
		"no private key":          {with("tls.key", nil), server, now, []string{"tls.key", "lacks"}},
		"no CA":                   {with("ca.crt", nil), server, now, []string{"ca.crt", "lacks"}},
		"a damaged certificate":   {with("tls.crt", []byte("garbage")), server, now, []string{"tls.crt", "no PEM block"}},
		"a damaged private key":   {with("tls.key", []byte("garbage")), server, now, []string{"tls.key", "private key"}},
		"an encrypted key":        {with("tls.key", []byte(encryptedKey)), server, now, []string{"tls.key", "encrypted"}},
		"a key of others":         {with("tls.key", issue().Key), server, now, []string{"tls.key", "does not belong"}},
		"a damaged CA":            {with("ca.crt", []byte("garbage")), server, now, []string{"ca.crt", "no PEM block"}},
		"a CA that is none":       {with("ca.crt", good.Cert), server, now, []string{"ca.crt", "is not a CA"}},
		"a CA that signed others": {with("ca.crt", other.Cert), server, now, []string{"tls.crt", "unknown authority"}},
		"it has expired":          {source(good, ca.Cert), server, now.Add(2 * time.Hour), []string{"tls.crt", "expired"}},
		"it is not valid yet":     {source(good, ca.Cert), server, now.Add(-time.Hour), []string{"tls.crt", "not yet valid"}},
		"a name is missing": {
			source(issue(func(r *pki.Request) { r.DNSNames = []string{"localhost", "demo-0.shop.svc"} }), ca.Cert), server, now,
			[]string{"tls.crt", `lacks the DNS names "*.demo-peers.shop.svc", "demo-1.shop.svc", "demo-2.shop.svc"`},
		},
		"an address is missing": {
			source(issue(func(r *pki.Request) { r.IPs = nil }), ca.Cert), server, now, []string{"tls.crt", `lacks the address "127.0.0.1"`},
		},
		"it is for servers only, and etcdctl in the Pod is a client": {
			source(issue(func(r *pki.Request) { r.Client = false }), ca.Cert), server, now, []string{"tls.crt", `lacks the usage "client"`},
		},
		"it is for clients only": {
			source(issue(func(r *pki.Request) { r.Server = false }), ca.Cert), server, now, []string{"tls.crt", "usage"},
		},
		"peers would refuse its common name": {
			source(pkitest.Issue(t, ca, renamed, now), ca.Cert), peer, now, []string{"tls.crt", `has the common name "changed by the issuer" instead of "etcd-peer-`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := ParseSource(cluster(tlsMode(v1alpha1.TLSSecrets)), state.PeerCertificate, tc.secret, tc.want, tc.at)
			if !strings.HasPrefix(got.Problem, "Secret my-peer") {
				t.Errorf("the problem %q does not name the Secret", got.Problem)
			}
			for _, part := range tc.parts {
				if !strings.Contains(got.Problem, part) {
					t.Errorf("the problem %q lacks %q", got.Problem, part)
				}
			}
			if strings.Contains(got.Problem, "\n") || len(got.Problem) > 700 {
				t.Errorf("the problem does not fit into a condition: %q", got.Problem)
			}
			expectNoKey(t, got.Problem, ca, other, good)
		})
	}
}

// restrictedCA issues for servers only: what it signs is no good for clients, whatever it says of itself.
func restrictedCA(t *testing.T) pki.Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "servers only"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pki.Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

// signedBy is a certificate for both usages, signed without a look at what the CA may sign.
func signedBy(t *testing.T, ca pki.Pair) pki.Pair {
	t.Helper()
	own := pkitest.Leaf(t, pkitest.CA(t, "any", now), now, "localhost")
	issuer, err := tls.X509KeyPair(ca.Cert, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	template := pkitest.Certificate(t, own)
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.Leaf, template.PublicKey, issuer.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pki.Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: own.Key}
}

// A member is a client of the others: with such a certificate all of them would refuse one another.
func TestASourceWhoseCAMustNotIssueForClientsIsRefused(t *testing.T) {
	ca := restrictedCA(t)
	c := cluster(tlsMode(v1alpha1.TLSSecrets))
	want := pki.Request{DNSNames: []string{"localhost"}, Server: true, Client: true}
	got := ParseSource(c, state.PeerCertificate, source(signedBy(t, ca), ca.Cert), want, now)
	if !strings.Contains(got.Problem, "Secret my-peer: key tls.crt: ") || !strings.Contains(got.Problem, "usage") {
		t.Errorf("the problem is %q", got.Problem)
	}
}

const encryptedKey = `-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgxMjM0NTY3OAICCAAw
-----END ENCRYPTED PRIVATE KEY-----
`

func TestASourceMayComeWithIntermediates(t *testing.T) {
	root, issuing := pkitest.CA(t, "root", now), pkitest.CA(t, "issuing", now)
	leaf := pkitest.Leaf(t, issuing, now)
	// The issuing CA signs itself, so what leads from it to the root does not exist: only trust in it can be used.
	want, c := pki.Request{Client: true}, cluster(tlsMode(v1alpha1.TLSSecrets))
	chained := pki.Pair{Cert: append(append([]byte{}, leaf.Cert...), issuing.Cert...), Key: leaf.Key}
	if got := ParseSource(c, state.ClientCertificate, source(chained, issuing.Cert), want, now); got.Problem != "" {
		t.Errorf("a certificate that brings its CA along is refused: %s", got.Problem)
	}
	if got := ParseSource(c, state.ClientCertificate, source(chained, root.Cert), want, now); !strings.Contains(got.Problem, "unknown authority") {
		t.Errorf("a chain that ends elsewhere gives the problem %q", got.Problem)
	}
}

// The operator would write over a Secret of somebody else, and then copy its own.
func TestTheOperatorsOwnSecretsAreNoSources(t *testing.T) {
	ca := pkitest.CA(t, "corporate", now)
	for _, name := range []string{
		"demo-peer-tls", "demo-server-tls", "demo-client-tls", "demo-operator-tls", "demo-peer-ca", "demo-client-ca",
	} {
		c := cluster(tlsMode(v1alpha1.TLSSecrets), tlsGiven(func(s *v1alpha1.TLSSpec) { s.Secrets.Client = name }))
		got := ParseSource(c, state.ClientCertificate, source(pkitest.Leaf(t, ca, now), ca.Cert), pki.Request{Client: true}, now)
		if want := "Secret " + name + " is one that the operator writes: take the certificate from one of another name"; got.Problem != want {
			t.Errorf("the problem is %q, want %q", got.Problem, want)
		}
	}
	c := cluster(tlsMode(v1alpha1.TLSSecrets), tlsGiven(func(s *v1alpha1.TLSSpec) { s.Secrets.Client = "other-client-tls" }))
	got := ParseSource(c, state.ClientCertificate, source(pkitest.Leaf(t, ca, now), ca.Cert), pki.Request{Client: true}, now)
	if got.Problem != "" {
		t.Errorf("a Secret of another cluster is refused: %s", got.Problem)
	}
}
