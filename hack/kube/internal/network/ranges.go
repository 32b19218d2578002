// Package network connects the nodes with each other and with the host, and with nothing else.
package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Ranges are the addresses of the cluster. Everything in them that is not a node, a Pod or a Service of this cluster
// is a black hole on the host, so that no packet to them leaves the machine.
type Ranges struct {
	// Cluster is a /16: its first /24 belongs to the nodes, the n-th following /24 to the Pods of node n.
	Cluster netip.Prefix `json:"cluster"`
	// Services is a /16.
	Services netip.Prefix `json:"services"`
}

// MaxNodes is how many nodes have room in the ranges.
const MaxNodes = 50

// clusterCandidates and serviceCandidates start with what kubeadm users know.
func clusterCandidates() []netip.Prefix {
	return slices.Concat(slash16s(10, 244, 254), slash16s(10, 128, 243), slash16s(172, 16, 31))
}

func serviceCandidates() []netip.Prefix { return slash16s(10, 96, 127) }

func slash16s(first byte, from, to byte) []netip.Prefix {
	var all []netip.Prefix
	for second := from; second <= to; second++ {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{first, second}), 16))
	}
	return all
}

// ChooseRanges takes the first candidates that no used prefix overlaps. The default route is not a use.
func ChooseRanges(used []netip.Prefix) (Ranges, error) {
	free := func(candidate netip.Prefix) bool {
		return !slices.ContainsFunc(used, func(u netip.Prefix) bool { return u.Bits() > 0 && u.Overlaps(candidate) })
	}
	cluster, services := clusterCandidates(), serviceCandidates()
	c, s := slices.IndexFunc(cluster, free), slices.IndexFunc(services, free)
	if c < 0 || s < 0 {
		return Ranges{}, errors.New("the host's routes use all of 10.128.0.0/9, 172.16.0.0/12 or 10.96.0.0/11: " +
			"there is no room for Pods or Services")
	}
	return Ranges{Cluster: cluster[c], Services: services[s]}, nil
}

// Host is the host's address in the nodes' network, where the apiserver listens.
func (r Ranges) Host() netip.Addr { return r.address(0, 1) }

// Node is the address of the n-th node, counted from 1.
func (r Ranges) Node(n int) netip.Addr { return r.address(0, byte(10+n)) }

// Pods is the range of the Pods on the n-th node.
func (r Ranges) Pods(n int) netip.Prefix { return netip.PrefixFrom(r.address(byte(n), 0), 24) }

// KubernetesService is the address of the Service "kubernetes", the first of the range.
func (r Ranges) KubernetesService() netip.Addr { return r.Services.Addr().Next() }

// DNSService is the address of the cluster's DNS, by convention the tenth.
func (r Ranges) DNSService() netip.Addr {
	base := r.Services.Addr().As4()
	base[3] = 10
	return netip.AddrFrom4(base)
}

func (r Ranges) address(third, fourth byte) netip.Addr {
	base := r.Cluster.Addr().As4()
	return netip.AddrFrom4([4]byte{base[0], base[1], third, fourth})
}

// ParseRoutes reads the IPv4 destinations in the output of "ip -j route show table all".
func ParseRoutes(output []byte) ([]netip.Prefix, error) {
	var routes []struct {
		Destination string `json:"dst"`
	}
	if err := json.Unmarshal(output, &routes); err != nil {
		return nil, fmt.Errorf("read the routes of the host: %w", err)
	}
	var prefixes []netip.Prefix
	for _, route := range routes {
		if route.Destination == "default" {
			continue
		}
		prefix, err := netip.ParsePrefix(route.Destination)
		if err != nil {
			address, addressErr := netip.ParseAddr(route.Destination)
			if addressErr != nil {
				return nil, fmt.Errorf("read the routes of the host: %q is no address range", route.Destination)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}
