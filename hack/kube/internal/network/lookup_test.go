package network

import (
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func TestExpectAddress(t *testing.T) {
	want := netip.MustParseAddr("10.96.0.1")
	tests := []struct {
		name    string
		answers []string
		accept  bool
	}{
		{"the expected address", []string{"10.96.0.1"}, true},
		{"the expected address among others", []string{"10.96.0.9", "10.96.0.1"}, true},
		{"another address", []string{"10.96.0.9"}, false},
		{"no address", nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := expectAddress(answer(t, test.answers), "a.", want)
			if accepted := err == nil; accepted != test.accept {
				t.Errorf("accepted: %t, want %t (%v)", accepted, test.accept, err)
			}
		})
	}
	if err := expectAddress([]byte{1, 2, 3}, "a.", want); err == nil {
		t.Error("a broken packet was accepted")
	}
}

func answer(t *testing.T, addresses []string) []byte {
	t.Helper()
	message := dnsmessage.Message{Header: dnsmessage.Header{Response: true}}
	name := dnsmessage.MustNewName("a.")
	for _, address := range addresses {
		message.Answers = append(message.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: netip.MustParseAddr(address).As4()},
		})
	}
	packet, err := message.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}
