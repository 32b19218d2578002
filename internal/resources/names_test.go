package resources

import (
	"math"
	"testing"

	"github.com/quorate/quorate/api/v1alpha1"
)

func TestNamesOfAMember(t *testing.T) {
	for _, tc := range []struct{ what, got, want string }{
		{"member", MemberName("demo", 0), "demo-0"},
		{"volume", VolumeName("demo", 0, 0xabc), "demo-0-0000000000000abc"},
		{"volume of the largest ID", VolumeName("demo", 12, math.MaxUint64), "demo-12-ffffffffffffffff"},
		{"latch", LatchName("demo"), "demo-latch"},
		{"peer Service", PeerServiceName("demo"), "demo-peers"},
		{"client Service", ClientServiceName("demo"), "demo-client"},
		{"member Service", MemberServiceName("demo", 2), "demo-2"},
		{"disruption budget", DisruptionBudgetName("demo"), "demo"},
		{"peer host", PeerHost("shop", "demo", 0), "demo-0.demo-peers.shop.svc"},
		{"peer URL", PeerURL(cluster(), 0), "https://demo-0.demo-peers.shop.svc:2380"},
		{"client URL", ClientURL(cluster(), 0), "https://demo-0.shop.svc:2379"},
		{"ID", FormatID(0xabc), "abc"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s is %q, want %q", tc.what, tc.got, tc.want)
		}
	}
}

func TestParseSlotIsTheExactInverseOfMemberName(t *testing.T) {
	for _, slot := range []int{0, 1, 9, 10, 123} {
		if got, ok := ParseSlot("demo", MemberName("demo", slot)); !ok || got != slot {
			t.Errorf("slot %d came back as %d, %t", slot, got, ok)
		}
	}
	for _, name := range []string{
		"", "demo", "demo-", "demo-00", "demo-01", "demo--1", "demo-+1", "demo- 1", "demo-1 ", "demo-a", "demo-1a",
		"demo-0-1", "demo-peers", "demo2-0", "other-0", "Demo-0", "demo-99999999999999999999",
	} {
		if slot, ok := ParseSlot("demo", name); ok {
			t.Errorf("%q was taken for slot %d of demo", name, slot)
		}
	}
}

func TestClustersWhoseNamesPrefixEachOtherAreKeptApart(t *testing.T) {
	if slot, ok := ParseSlot("demo-0", "demo-0-1"); !ok || slot != 1 {
		t.Errorf("demo-0-1 is not slot 1 of demo-0 but %d, %t", slot, ok)
	}
	if slot, ok := ParseSlot("demo", "demo-0-1"); ok {
		t.Errorf("demo-0-1, slot 1 of demo-0, was taken for slot %d of demo", slot)
	}
	if slot, ok := ParseSlot("demo-0", "demo-0"); ok {
		t.Errorf("demo-0, slot 0 of demo, was taken for slot %d of demo-0", slot)
	}
	if slot, ok := ParsePeerURL(cluster(), PeerURL(cluster(func(c *v1alpha1.EtcdCluster) { c.Name = "demo-0" }), 1)); ok {
		t.Errorf("the peer URL of slot 1 of demo-0 was taken for slot %d of demo", slot)
	}
	if Selector("demo-0").AsSelector().Matches(Selector("demo")) {
		t.Error("the selector of demo-0 selects members of demo")
	}
}

func TestParsePeerURLIsTheExactInverseOfPeerURL(t *testing.T) {
	if slot, ok := ParsePeerURL(cluster(), PeerURL(cluster(), 7)); !ok || slot != 7 {
		t.Errorf("slot 7 came back as %d, %t", slot, ok)
	}
	for _, url := range []string{
		"", "https://", "demo-0", "demo-0.demo-peers.shop.svc:2380",
		"http://demo-0.demo-peers.shop.svc:2380",
		"https://demo-0.demo-peers.shop.svc:2379",
		"https://demo-0.demo-peers.shop.svc:2380/",
		"https://demo-0.demo-peers.shop.svc.cluster.local:2380",
		"https://demo-0.demo-peers.other.svc:2380",
		"https://demo-0.other-peers.shop.svc:2380",
		"https://demo-00.demo-peers.shop.svc:2380",
		"https://10.0.0.1:2380",
	} {
		if slot, ok := ParsePeerURL(cluster(), url); ok {
			t.Errorf("%q was taken for the peer URL of slot %d", url, slot)
		}
	}
}

func TestURLsAreThoseOfTheTLSMode(t *testing.T) {
	for mode, want := range map[v1alpha1.TLSMode]string{
		v1alpha1.TLSManaged: "https://", v1alpha1.TLSCertManager: "https://", v1alpha1.TLSSecrets: "https://",
		v1alpha1.TLSDisabled: "http://",
	} {
		c := cluster(tlsMode(mode))
		if url := PeerURL(c, 1); url != want+"demo-1.demo-peers.shop.svc:2380" {
			t.Errorf("in mode %s the peer URL is %s", mode, url)
		}
		if url := ClientURL(c, 1); url != want+"demo-1.shop.svc:2379" {
			t.Errorf("in mode %s the client URL is %s", mode, url)
		}
		if slot, ok := ParsePeerURL(c, PeerURL(c, 1)); !ok || slot != 1 {
			t.Errorf("in mode %s the peer URL of slot 1 comes back as %d, %t", mode, slot, ok)
		}
		if got := RecordsTLS(PeerURL(c, 1)); got != (mode != v1alpha1.TLSDisabled) {
			t.Errorf("in mode %s the peer URL tells of TLS: %t", mode, got)
		}
		list := NewLatch(c, 1, testToken, 3, "3.6.16").InitialCluster
		if got := RecordsTLS(list); got != (mode != v1alpha1.TLSDisabled) {
			t.Errorf("in mode %s the list %s tells of TLS: %t", mode, list, got)
		}
	}
}

func TestParseIDIsTheInverseOfFormatID(t *testing.T) {
	for _, id := range []uint64{1, 0xabc, math.MaxUint64} {
		if got, err := ParseID(FormatID(id)); err != nil || got != id {
			t.Errorf("ID %d came back as %d, %v", id, got, err)
		}
	}
	for _, s := range []string{"", "xyz", "-1", "0xabc", "10000000000000000"} {
		if id, err := ParseID(s); err == nil {
			t.Errorf("%q was taken for the ID %x", s, id)
		}
	}
}
