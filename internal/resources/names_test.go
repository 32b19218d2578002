package resources

import (
	"math"
	"testing"
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
		{"peer URL", PeerURL("shop", "demo", 0), "http://demo-0.demo-peers.shop.svc:2380"},
		{"client URL", ClientURL("shop", "demo", 0), "http://demo-0.shop.svc:2379"},
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
	if slot, ok := ParsePeerURL("shop", "demo", PeerURL("shop", "demo-0", 1)); ok {
		t.Errorf("the peer URL of slot 1 of demo-0 was taken for slot %d of demo", slot)
	}
	if Selector("demo-0").AsSelector().Matches(Selector("demo")) {
		t.Error("the selector of demo-0 selects members of demo")
	}
}

func TestParsePeerURLIsTheExactInverseOfPeerURL(t *testing.T) {
	if slot, ok := ParsePeerURL("shop", "demo", PeerURL("shop", "demo", 7)); !ok || slot != 7 {
		t.Errorf("slot 7 came back as %d, %t", slot, ok)
	}
	for _, url := range []string{
		"", "http://", "demo-0", "demo-0.demo-peers.shop.svc:2380",
		"https://demo-0.demo-peers.shop.svc:2380",
		"http://demo-0.demo-peers.shop.svc:2379",
		"http://demo-0.demo-peers.shop.svc:2380/",
		"http://demo-0.demo-peers.shop.svc.cluster.local:2380",
		"http://demo-0.demo-peers.other.svc:2380",
		"http://demo-0.other-peers.shop.svc:2380",
		"http://demo-00.demo-peers.shop.svc:2380",
		"http://10.0.0.1:2380",
	} {
		if slot, ok := ParsePeerURL("shop", "demo", url); ok {
			t.Errorf("%q was taken for the peer URL of slot %d", url, slot)
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
