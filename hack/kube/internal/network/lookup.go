package network

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Lookup asks a DNS server for the IPv4 address of a name and compares it with the expected one.
func Lookup(server netip.Addr, name string, want netip.Addr, timeout time.Duration) error {
	connection, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(server, 53)))
	if err != nil {
		return fmt.Errorf("look up %s: %w", name, err)
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("look up %s: %w", name, err)
	}
	question, err := dnsmessage.NewName(name)
	if err != nil {
		return fmt.Errorf("look up %s: %w", name, err)
	}
	query := dnsmessage.Message{
		Header: dnsmessage.Header{ID: 1, RecursionDesired: true},
		Questions: []dnsmessage.Question{{
			Name: question, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET,
		}},
	}
	packed, err := query.Pack()
	if err != nil {
		return fmt.Errorf("look up %s: %w", name, err)
	}
	if _, err := connection.Write(packed); err != nil {
		return fmt.Errorf("look up %s: %w", name, err)
	}
	buffer := make([]byte, 1500)
	size, err := connection.Read(buffer)
	if err != nil {
		return fmt.Errorf("look up %s: %w", name, err)
	}
	return expectAddress(buffer[:size], name, want)
}

func expectAddress(packet []byte, name string, want netip.Addr) error {
	var answer dnsmessage.Message
	if err := answer.Unpack(packet); err != nil {
		return fmt.Errorf("look up %s: %w", name, err)
	}
	for _, resource := range answer.Answers {
		if body, ok := resource.Body.(*dnsmessage.AResource); ok && netip.AddrFrom4(body.A) == want {
			return nil
		}
	}
	return fmt.Errorf("look up %s: the answer (%s, %d records) lacks %s", name, answer.RCode, len(answer.Answers), want)
}
