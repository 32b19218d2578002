package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/plan"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
	"github.com/quorate/quorate/internal/state/statetest"
)

func TestCertificatesValid(t *testing.T) {
	const lifetime = 365 * 24 * time.Hour
	shorter := func(b *statetest.Builder) *statetest.Builder {
		return b.TLSSpec(func(s *v1alpha1.TLSSpec) { s.CALifetime = &metav1.Duration{Duration: time.Hour} }).
			Record(state.PeerSide, func(a *state.Authority) { a.Signer = b.CA("peer 1") })
	}
	tests := map[string]struct {
		cluster *statetest.Builder
		outcome outcome
		want    string
		parts   []string
	}{
		"at rest": {statetest.Formed(3).TLS(), outcome{}, "True CertificatesValid", []string{"all certificates are valid"}},
		"at rest while something else is pending": {
			statetest.Formed(3).TLS().With(replacementAsked), outcome{}, "True CertificatesValid", []string{"all certificates are valid"},
		},
		"from sources": {
			statetest.Formed(3).TLS().From(v1alpha1.TLSSecrets), outcome{}, "True CertificatesValid", nil,
		},
		"a new cluster names what is not there yet": {
			statetest.Fresh().TLS(), outcome{}, "False CertificateProblem",
			[]string{"not issued yet: Secret demo-peer-tls, Secret demo-server-tls, Secret demo-client-tls, Secret demo-operator-tls"},
		},
		"a damaged certificate is named with what is wrong": {
			statetest.Formed(3).TLS().DamageCertificate(state.ServerCertificate, "lacks the key tls.key"), outcome{},
			"False CertificateProblem", []string{"Secret demo-server-tls lacks the key tls.key"},
		},
		"a certificate that belongs to something else": {
			statetest.Formed(3).TLS().DamageCertificate(state.PeerCertificate, resources.BelongsToOther), outcome{},
			"False CertificateProblem", []string{"Secret demo-peer-tls belongs to something else"},
		},
		"a source that cannot be used is named with its key, although the former certificate is valid": {
			statetest.Formed(3).TLS().From(v1alpha1.TLSSecrets).
				SourceProblem(state.PeerCertificate, "Secret my-peer: lacks the key tls.key"), outcome{},
			"False CertificateProblem", []string{"Secret my-peer: lacks the key tls.key", "The former certificate is used meanwhile"},
		},
		"an expired certificate": {
			statetest.Formed(3).TLS().Later(lifetime), outcome{}, "False CertificateExpired",
			[]string{"Secret demo-peer-tls (2027-11-21T12:00:00Z)", "Secret demo-operator-tls (2027-11-21T12:00:00Z)"},
		},
		"an expired CA": {
			shorter(statetest.Formed(3).TLS()).Later(time.Hour), outcome{}, "False CertificateExpired",
			[]string{"the peer CA (2026-11-21T13:00:00Z)"},
		},
		"just before the end everything is valid still": {
			shorter(statetest.Formed(3).TLS()).Later(time.Hour - time.Second), outcome{}, "True RotatingCA", nil,
		},
		"renewed certificates that are not served yet": {
			statetest.Formed(3).TLS().Issue(state.PeerCertificate), outcome{}, "True CertificateRenewing",
			[]string{"waiting until renewed certificates are served by demo-0, demo-1, demo-2"},
		},
		"a rotation": {
			rotating(), outcome{}, "True RotatingCA", []string{"the client CA is rotated"},
		},
		"what has nothing to do with certificates does not count": {
			statetest.Formed(3).TLS(),
			outcome{blocked: []plan.Blocked{{Reason: v1alpha1.ReasonActionFailed, Message: "create Pod: forbidden"}}},
			"True CertificatesValid", nil,
		},
		"a problem that the API server told of": {
			statetest.Formed(3).TLS(),
			outcome{blocked: []plan.Blocked{{Reason: v1alpha1.ReasonCertificateProblem, Message: "Secret x: lacks y"}}},
			"False CertificateProblem", []string{"Secret x: lacks y"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := test.cluster.Build()
			s := status(c, plan.Next(c), test.outcome)
			cond := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionCertificatesValid)
			if cond == nil {
				t.Fatal("there is no such condition")
			}
			if got := string(cond.Status) + " " + cond.Reason; got != test.want {
				t.Errorf("it is %s: %s\nwant %s", got, cond.Message, test.want)
			}
			for _, part := range test.parts {
				if !strings.Contains(cond.Message, part) {
					t.Errorf("the message lacks %q: %s", part, cond.Message)
				}
			}
			if cond.ObservedGeneration != c.Object.Generation {
				t.Errorf("it speaks of generation %d, want %d", cond.ObservedGeneration, c.Object.Generation)
			}
		})
	}
}

// rotating is a cluster whose client CA is rotated: everybody trusts the next one, and clients get the time to load it.
func rotating() *statetest.Builder {
	b := statetest.Formed(3).TLS()
	b.BeginRotation(state.ClientSide, b.CA("client 2")).PublishTrust().Load(0, 1, 2)
	return b.Bundle(state.ServerCertificate, state.ClientCertificate, state.OperatorCertificate)
}

func TestTLSStatus(t *testing.T) {
	c := rotating().Build()
	d := plan.Next(c)
	got := status(c, d, outcome{}).TLS
	if got == nil || ptr.Deref(got.ClientSecret, "") != "demo-client-tls" {
		t.Fatalf("it is %+v", got)
	}
	client := c.TLS.Certificates[state.ClientCertificate]
	if want := resources.ClientsLoad(client.Bundle, client.Issuer); ptr.Deref(got.ClientsMustLoad, "") != want {
		t.Errorf("clients must load %q, want %q", ptr.Deref(got.ClientsMustLoad, ""), want)
	}
	if cond := meta.FindStatusCondition(status(c, d, outcome{}).Conditions, v1alpha1.ConditionProgressing); cond.Status != metav1.ConditionTrue ||
		cond.Reason != v1alpha1.ReasonRotatingCA || !strings.Contains(cond.Message, "quorate.dev/clients-loaded="+*got.ClientsMustLoad) {
		t.Errorf("Progressing is %s %s: %s", cond.Status, cond.Reason, cond.Message)
	}
	if cond := meta.FindStatusCondition(status(c, d, outcome{}).Conditions, v1alpha1.ConditionReady); cond.Status != metav1.ConditionTrue {
		t.Errorf("a rotation that waits for clients makes Ready %s %s: %s", cond.Status, cond.Reason, cond.Message)
	}

	rest := status(statetest.Formed(3).TLS().Build(), plan.Decision{}, outcome{}).TLS
	if rest.ClientsMustLoad != nil {
		t.Errorf("at rest clients must load %q", *rest.ClientsMustLoad)
	}
	fresh := status(statetest.Fresh().TLS().Build(), plan.Decision{}, outcome{}).TLS
	if fresh.CertificatesExpire != nil {
		t.Errorf("certificates that do not exist expire at %s", fresh.CertificatesExpire)
	}
}

func TestTheFirstExpiryIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*state.Cluster)
		want   time.Duration
	}{
		"of equal certificates": {func(*state.Cluster) {}, 365 * 24 * time.Hour},
		"of a certificate that ends before the others": {func(c *state.Cluster) {
			cert := c.TLS.Certificates[state.OperatorCertificate]
			cert.NotAfter = c.Now.Add(time.Hour + 300*time.Millisecond)
			c.TLS.Certificates[state.OperatorCertificate] = cert
		}, time.Hour},
		"of a CA that ends before its certificates": {func(c *state.Cluster) {
			c.TLS.Peer.Signer.NotAfter = c.Now.Add(2 * time.Hour)
		}, 2 * time.Hour},
		"without one that cannot be read": {func(c *state.Cluster) {
			c.TLS.Certificates[state.OperatorCertificate] = state.Certificate{Problem: "lacks the key tls.key"}
		}, 365 * 24 * time.Hour},
	} {
		c := statetest.Formed(3).TLS().With(tc.change).Build()
		got := status(c, plan.Decision{}, outcome{}).TLS.CertificatesExpire
		if got == nil || !got.Time.Equal(c.Now.Add(tc.want)) {
			t.Errorf("%s: it is %v, want %s", name, got, c.Now.Add(tc.want))
		}
	}
}

func TestAPlainTextClusterSaysNothingOfCertificates(t *testing.T) {
	_, former := settled(statetest.Formed(3).TLS())
	_, s := settled(statetest.Formed(3).With(func(c *state.Cluster) { c.Object.Status = former }))
	if s.TLS != nil || meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionCertificatesValid) != nil {
		t.Errorf("it says %+v, %+v", s.TLS, s.Conditions)
	}
	for _, url := range s.Endpoints {
		if !strings.HasPrefix(url, "http://") {
			t.Errorf("the endpoint is %s", url)
		}
	}
	_, s = settled(statetest.Formed(3).TLS())
	want := []string{"https://demo-0.default.svc:2379", "https://demo-1.default.svc:2379", "https://demo-2.default.svc:2379"}
	if diff := cmp.Diff(want, s.Endpoints); diff != "" {
		t.Errorf("endpoints with TLS (-want +got):\n%s", diff)
	}
}

func TestTheTLSStatusHoldsNothingVolatile(t *testing.T) {
	for name, b := range map[string]func() *statetest.Builder{
		"at rest":                 func() *statetest.Builder { return statetest.Formed(3).TLS() },
		"from sources":            func() *statetest.Builder { return statetest.Formed(3).TLS().From(v1alpha1.TLSCertManager) },
		"waiting for clients":     rotating,
		"waiting for the kubelet": func() *statetest.Builder { return statetest.Formed(3).TLS().Issue(state.ServerCertificate) },
		"a damaged source": func() *statetest.Builder {
			return statetest.Formed(3).TLS().From(v1alpha1.TLSSecrets).SourceProblem(state.PeerCertificate, "Secret x: lacks the key y")
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, before := settled(b())
			_, after := settled(b().With(func(c *state.Cluster) { c.Object.Status = before }).Later(time.Minute))
			if !equality.Semantic.DeepEqual(before, after) {
				t.Errorf("the status changed although nothing of substance did (-before +after):\n%s", cmp.Diff(before, after))
			}
		})
	}
}

func TestTheExpiryMetric(t *testing.T) {
	registry := prometheus.NewRegistry()
	m := NewMetrics(registry)
	year := float64(statetest.Now.Add(365 * 24 * time.Hour).Unix())
	decade := float64(statetest.Now.Add(10 * 365 * 24 * time.Hour).Unix())
	for _, tc := range []struct {
		name    string
		cluster *statetest.Builder
		want    map[string]float64
	}{
		{"at rest", statetest.Formed(3).TLS(), map[string]float64{
			"peer": year, "server": year, "client": year, "operator": year, "peer-ca": decade, "client-ca": decade,
		}},
		{"after two were lost", statetest.Formed(3).TLS().LoseCertificates(state.ServerCertificate).LoseAuthority(state.PeerSide),
			map[string]float64{"peer": year, "client": year, "operator": year, "client-ca": decade}},
		{"of a cluster that speaks plain text", statetest.Formed(3), map[string]float64{}},
	} {
		m.observe(tc.cluster.Build(), nil)
		if diff := cmp.Diff(tc.want, expiryMetric(t, registry)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	m.observe(statetest.Formed(3).TLS().Build(), nil)
	m.forget(client.ObjectKey{Namespace: statetest.Namespace, Name: statetest.Name})
	if left := expiryMetric(t, registry); len(left) > 0 {
		t.Errorf("of a cluster that is gone there is %v", left)
	}
}

// expiryMetric is the value of each certificate's series.
func expiryMetric(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		if family.GetName() != "quorate_certificate_expiry_timestamp_seconds" {
			continue
		}
		for _, series := range family.GetMetric() {
			for _, label := range series.GetLabel() {
				if label.GetName() == "certificate" {
					got[label.GetValue()] = series.GetGauge().GetValue()
				}
			}
		}
	}
	return got
}
