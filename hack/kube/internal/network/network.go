package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/quorate/quorate/hack/kube/internal/command"
	"github.com/quorate/quorate/hack/kube/internal/layout"
)

const (
	// routeProtocol marks the host's routes as ours, so that exactly they are removed.
	routeProtocol = "177"
	switchName    = "switch"
	bridge        = "bridge0"
)

// Network is what connects the host and the nodes: a bridge in a namespace of its own, out of reach of the host's
// firewall rules and forwarding settings.
type Network struct {
	Layout layout.Layout
	Ranges Ranges
}

// UsedByHost lists the prefixes that the host routes, and its name servers.
func UsedByHost(ctx context.Context) ([]netip.Prefix, error) {
	output, err := command.Output(ctx, "ip", "-4", "-j", "route", "show", "table", "all")
	if err != nil {
		return nil, fmt.Errorf("read the routes of the host: %w", err)
	}
	used, err := ParseRoutes(output)
	if err != nil {
		return nil, err
	}
	resolv, err := os.Open("/etc/resolv.conf")
	if errors.Is(err, fs.ErrNotExist) {
		return used, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the name servers of the host: %w", err)
	}
	defer func() { _ = resolv.Close() }()
	for lines := bufio.NewScanner(resolv); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 2 && fields[0] == "nameserver" {
			if server, err := netip.ParseAddr(fields[1]); err == nil {
				used = append(used, netip.PrefixFrom(server, server.BitLen()))
			}
		}
	}
	return used, nil
}

// Create sets up the switch, the host's link to it and the host's black holes.
func (n Network) Create(ctx context.Context) error {
	if err := createNetNS(ctx, n.Layout.NetNS(switchName)); err != nil {
		return err
	}
	inSwitch := []string{
		"link add " + bridge + " type bridge",
		"link set lo up",
		"link set " + bridge + " up",
	}
	if err := n.ip(ctx, switchName, inSwitch); err != nil {
		return fmt.Errorf("create the bridge: %w", err)
	}
	err := n.ip(ctx, "", []string{
		fmt.Sprintf("link add %s type veth peer name host netns %s", n.Layout.HostInterface(), n.Layout.NetNS(switchName)),
		fmt.Sprintf("addr add %s/24 dev %s", n.Ranges.Host(), n.Layout.HostInterface()),
		fmt.Sprintf("link set %s up", n.Layout.HostInterface()),
		fmt.Sprintf("route add blackhole %s %s", n.Ranges.Cluster, n.mark()),
		fmt.Sprintf("route add blackhole %s %s", n.Ranges.Services, n.mark()),
	})
	if err != nil {
		return fmt.Errorf("connect the host: %w", err)
	}
	return n.ip(ctx, switchName, []string{"link set host master " + bridge + " up"})
}

// mark is how the host's routes are known as those of this cluster.
func (n Network) mark() string {
	return fmt.Sprintf("proto %s metric %d", routeProtocol, n.Layout.RouteMetric())
}

// Connect creates the namespace of the node-th of all nodes and links it to the switch.
func (n Network) Connect(ctx context.Context, node, nodes int) error {
	name := layout.NodeName(node)
	file := n.Layout.NetNS(name)
	if err := createNetNS(ctx, file); err != nil {
		return err
	}
	link := fmt.Sprintf("link add %s address %s netns %s type veth peer name eth0 address %s netns %s",
		name, hardwareAddress(1, node), n.Layout.NetNS(switchName), hardwareAddress(0, node), file)
	if err := n.ip(ctx, "", []string{link}); err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	if err := n.ip(ctx, name, n.nodeSetup(node, nodes)); err != nil {
		return fmt.Errorf("set up the network of %s: %w", name, err)
	}
	forward := command.InNetNS(file, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
	if err := command.Run(ctx, forward...); err != nil {
		return fmt.Errorf("let %s forward packets of its Pods: %w", name, err)
	}
	if err := n.ip(ctx, switchName, []string{"link set " + name + " master " + bridge + " up"}); err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return n.ip(ctx, "", []string{
		fmt.Sprintf("route replace %s via %s %s", n.Ranges.Pods(node), n.Ranges.Node(node), n.mark()),
	})
}

// nodeSetup gives a node routes to the other nodes' Pods and for Services to the host, where unknown ones end in the
// black hole. There is no default route. The Service route exists because a packet from the node itself is routed
// before kube-proxy's rules rewrite its destination.
func (n Network) nodeSetup(node, nodes int) []string {
	lines := []string{
		"link set lo up",
		fmt.Sprintf("addr add %s/24 dev eth0", n.Ranges.Node(node)),
		"link set eth0 up",
		fmt.Sprintf("route add blackhole %s", n.Ranges.Cluster),
		fmt.Sprintf("route add %s via %s", n.Ranges.Services, n.Ranges.Host()),
	}
	for other := 1; other <= nodes; other++ {
		if other != node {
			lines = append(lines, fmt.Sprintf("route add %s via %s", n.Ranges.Pods(other), n.Ranges.Node(other)))
		}
	}
	return lines
}

// Disconnect removes a node's namespace and its link, as far as they exist. Its processes must be gone.
func (n Network) Disconnect(ctx context.Context, node int) error {
	name := layout.NodeName(node)
	_ = n.ip(ctx, switchName, []string{"link del " + name})
	return removeNetNS(n.Layout.NetNS(name))
}

// SetLink takes a node's link down (a network partition) or up.
func (n Network) SetLink(ctx context.Context, node int, up bool) error {
	state := "down"
	if up {
		state = "up"
	}
	return n.ip(ctx, switchName, []string{"link set " + layout.NodeName(node) + " " + state})
}

// LinkUp tells whether a node's link is switched on.
func (n Network) LinkUp(node int) bool {
	up := false
	err := InNetNS(n.Layout.NetNS(switchName), func() error {
		link, err := net.InterfaceByName(layout.NodeName(node))
		up = err == nil && link.Flags&net.FlagUp != 0
		return err
	})
	return err == nil && up
}

// ip runs lines of "ip" in one process, in a pinned namespace or, with an empty name, on the host.
func (n Network) ip(ctx context.Context, namespace string, lines []string) error {
	argv := []string{"ip", "-batch", "-"}
	if namespace != "" {
		argv = command.InNetNS(n.Layout.NetNS(namespace), argv...)
	}
	return command.RunWithInput(ctx, strings.NewReader(strings.Join(lines, "\n")+"\n"), argv...)
}

// hardwareAddress is fixed, so that the neighbours' ARP entries stay right when a node is started again.
func hardwareAddress(side, node int) string { return fmt.Sprintf("02:71:75:6f:%02x:%02x", side, node) }

// createNetNS pins a new network namespace to a file, below the state directory rather than /run/netns.
func createNetNS(ctx context.Context, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("create network namespace: %w", err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return fmt.Errorf("create network namespace: %w", err)
	}
	if err := command.Run(ctx, "unshare", "--net="+file, "true"); err != nil {
		return fmt.Errorf("create network namespace: %w", err)
	}
	return nil
}

func removeNetNS(file string) error {
	if err := unix.Unmount(file, unix.MNT_DETACH); err != nil &&
		!errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove network namespace %s: %w", file, err)
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove network namespace %s: %w", file, err)
	}
	return nil
}
