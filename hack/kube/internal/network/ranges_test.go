package network

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestChooseRanges(t *testing.T) {
	tests := []struct {
		name              string
		used              []netip.Prefix
		cluster, services string
	}{
		{"a host without routes gets what kubeadm users know", nil, "10.244.0.0/16", "10.96.0.0/16"},
		{"the default route is not a use", prefixes("0.0.0.0/0"), "10.244.0.0/16", "10.96.0.0/16"},
		{"a route to one address in a range takes the whole range", prefixes("10.244.7.9/32"), "10.245.0.0/16", "10.96.0.0/16"},
		{"a route around the ranges skips all of them", prefixes("10.240.0.0/12", "10.96.0.0/14"), "10.128.0.0/16", "10.100.0.0/16"},
		{"a VPN over the upper half of 10.0.0.0/8 leaves 172.16.0.0/12", prefixes("10.128.0.0/9"), "172.16.0.0/16", "10.96.0.0/16"},
		{"two clusters on one host do not overlap", prefixes("10.244.0.0/16", "10.96.0.0/16"), "10.245.0.0/16", "10.97.0.0/16"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ChooseRanges(test.used)
			if err != nil {
				t.Fatal(err)
			}
			if got.Cluster.String() != test.cluster || got.Services.String() != test.services {
				t.Errorf("got %s and %s, want %s and %s", got.Cluster, got.Services, test.cluster, test.services)
			}
		})
	}
}

func TestChooseRangesRefusesAFullHost(t *testing.T) {
	_, err := ChooseRanges(prefixes("10.0.0.0/8"))
	if err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("got error %v, want one that says that there is no room", err)
	}
}

func TestAddressesOfTheCluster(t *testing.T) {
	ranges, err := ChooseRanges(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{
		"host":               ranges.Host().String(),
		"first node":         ranges.Node(1).String(),
		"last node":          ranges.Node(MaxNodes).String(),
		"Pods of first node": ranges.Pods(1).String(),
		"kubernetes Service": ranges.KubernetesService().String(),
		"DNS Service":        ranges.DNSService().String(),
	}
	want := map[string]string{
		"host":               "10.244.0.1",
		"first node":         "10.244.0.11",
		"last node":          "10.244.0.60",
		"Pods of first node": "10.244.1.0/24",
		"kubernetes Service": "10.96.0.1",
		"DNS Service":        "10.96.0.10",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses differ (-want +got):\n%s", diff)
	}
}

func TestParseRoutes(t *testing.T) {
	const output = `[{"dst":"default","gateway":"192.0.2.1"},{"dst":"192.0.2.0/24","dev":"eth0"},
		{"type":"local","dst":"127.0.0.1","table":"local"},{"type":"blackhole","dst":"10.96.0.0/16"}]`
	got, err := ParseRoutes([]byte(output))
	if err != nil {
		t.Fatal(err)
	}
	want := prefixes("192.0.2.0/24", "127.0.0.1/32", "10.96.0.0/16")
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("routes differ (-want +got):\n%s", diff)
	}
	for _, broken := range []string{"", "{", `[{"dst":"somewhere"}]`} {
		if _, err := ParseRoutes([]byte(broken)); err == nil {
			t.Errorf("output %q was accepted", broken)
		}
	}
}

func TestANodeHasRoutesToTheOthersAndNoDefaultRoute(t *testing.T) {
	ranges, err := ChooseRanges(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := Network{Ranges: ranges}.nodeSetup(2, 3)
	want := []string{
		"link set lo up",
		"addr add 10.244.0.12/24 dev eth0",
		"link set eth0 up",
		"route add blackhole 10.244.0.0/16",
		"route add 10.96.0.0/16 via 10.244.0.1",
		"route add 10.244.1.0/24 via 10.244.0.11",
		"route add 10.244.3.0/24 via 10.244.0.13",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("set-up differs (-want +got):\n%s", diff)
	}
}
