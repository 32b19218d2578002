package state

import (
	"strings"
	"testing"
)

// certificatesOf are published certificates with these fingerprints.
func certificatesOf(peer, server string) map[CertificateName]Certificate {
	return map[CertificateName]Certificate{
		PeerCertificate:   {Exists: peer != "", Fingerprint: peer},
		ServerCertificate: {Exists: server != "", Fingerprint: server},
	}
}

func TestUsable(t *testing.T) {
	trusts := map[string]Trust{"demo-trust-1": {Peer: []string{"a"}, Client: []string{"b"}}}
	for name, tc := range map[string]struct {
		tls  *TLS
		want bool
	}{
		"plain text needs nothing":             {nil, true},
		"everything is there":                  {&TLS{Trust: "demo-trust-1", Trusts: trusts, Certificates: certificatesOf("p", "s")}, true},
		"an authority is missing":              {&TLS{Trusts: trusts, Certificates: certificatesOf("p", "s")}, false},
		"what is to be trusted is unpublished": {&TLS{Trust: "demo-trust-2", Trusts: trusts, Certificates: certificatesOf("p", "s")}, false},
		"the peers' certificate is missing":    {&TLS{Trust: "demo-trust-1", Trusts: trusts, Certificates: certificatesOf("", "s")}, false},
		"the servers' certificate is missing":  {&TLS{Trust: "demo-trust-1", Trusts: trusts, Certificates: certificatesOf("p", "")}, false},
		"the clients' certificate can wait":    {&TLS{Trust: "demo-trust-1", Trusts: trusts, Certificates: certificatesOf("p", "s")}, true},
	} {
		if got := tc.tls.Usable(); got != tc.want {
			t.Errorf("%s: usable is %t", name, got)
		}
	}
}

func TestTheRevisionChangesWithEachRenewal(t *testing.T) {
	fingerprint := func(c string) string { return strings.Repeat(c, 64) }
	of := func(peer, server string) string { return (&TLS{Certificates: certificatesOf(peer, server)}).Revision() }
	revision := of(fingerprint("a"), fingerprint("b"))
	for _, other := range []string{of(fingerprint("c"), fingerprint("b")), of(fingerprint("a"), fingerprint("c")), of(fingerprint("b"), fingerprint("a"))} {
		if other == revision || other == "" {
			t.Errorf("after a renewal the revision is %q, before %q", other, revision)
		}
	}
	if len(revision) > 63 {
		t.Errorf("%q is long", revision)
	}
	if got := of("", fingerprint("b")) + of(fingerprint("a"), ""); got != "" {
		t.Errorf("with a certificate missing it is %q", got)
	}
}

func TestPodTrusts(t *testing.T) {
	tls := &TLS{Trusts: map[string]Trust{"both": {Peer: []string{"old", "new"}, Client: []string{"c"}}}}
	for name, tc := range map[string]struct {
		pod  Pod
		side Side
		ca   CA
		want bool
	}{
		"one of those that it trusts":       {Pod{Trust: "both"}, PeerSide, CA{Certificates: []string{"new"}}, true},
		"all of those that come together":   {Pod{Trust: "both"}, PeerSide, CA{Certificates: []string{"new", "old"}}, true},
		"not all of those":                  {Pod{Trust: "both"}, PeerSide, CA{Certificates: []string{"new", "x"}}, false},
		"one of the other side":             {Pod{Trust: "both"}, ClientSide, CA{Certificates: []string{"new"}}, false},
		"a trust that is unknown":           {Pod{Trust: "gone"}, PeerSide, CA{Certificates: []string{"new"}}, false},
		"a Pod that names none":             {Pod{}, PeerSide, CA{Certificates: []string{"new"}}, false},
		"a CA without certificates is none": {Pod{Trust: "both"}, PeerSide, CA{}, false},
	} {
		if got := tls.PodTrusts(tc.pod, tc.side, tc.ca); got != tc.want {
			t.Errorf("%s: trusted is %t", name, got)
		}
	}
}

func TestOutdated(t *testing.T) {
	wanted := &TLS{Trust: "demo-trust-2"}
	for name, tc := range map[string]struct {
		tls  *TLS
		pod  Pod
		want bool
	}{
		"it trusts what is wanted":               {wanted, Pod{Trust: "demo-trust-2"}, false},
		"it trusts something else":               {wanted, Pod{Trust: "demo-trust-1"}, true},
		"nothing is known of what is wanted":     {&TLS{}, Pod{Trust: "demo-trust-1"}, false},
		"plain text":                             {nil, Pod{}, false},
		"it was made before there was any trust": {wanted, Pod{}, true},
	} {
		if got := tc.tls.Outdated(tc.pod); got != tc.want {
			t.Errorf("%s: outdated is %t", name, got)
		}
	}
}

func TestServed(t *testing.T) {
	tls := &TLS{Certificates: certificatesOf("p2", "s2")}
	for serves, want := range map[Serves]bool{
		{Peer: "p2", Server: "s2"}: true, {Peer: "p1", Server: "s2"}: false, {Peer: "p2", Server: "s1"}: false,
		{Peer: "p2"}: false, {}: false,
	} {
		if got := tls.Served(Member{Serves: serves}); got != want {
			t.Errorf("%+v: served is %t", serves, got)
		}
	}
}
