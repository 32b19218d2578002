package main

import (
	"context"
	"fmt"
	"time"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/pki"
	"github.com/quorate/quorate/internal/resources"
	"github.com/quorate/quorate/internal/state"
)

// issued are all certificates that the operator makes for a new cluster.
type issued struct {
	authorities  map[state.Side]pki.Pair
	certificates map[state.CertificateName]pki.Pair
}

// issueAll makes them as the operator does: with the same names, lifetimes and kinds of keys.
func issueAll(c *v1alpha1.EtcdCluster, now time.Time) (issued, error) {
	out := issued{map[state.Side]pki.Pair{}, map[state.CertificateName]pki.Pair{}}
	for _, side := range []state.Side{state.PeerSide, state.ClientSide} {
		ca, err := pki.NewCA(c.Name+" "+string(side), now, resources.CALifetime(c))
		if err != nil {
			return issued{}, fmt.Errorf("make the %s CA: %w", side, err)
		}
		out.authorities[side] = ca
	}
	for _, name := range state.CertificateNames() {
		p, err := pki.Issue(out.authorities[name.Side()], resources.CertificateRequest(c, name, nil, 0), now)
		if err != nil {
			return issued{}, fmt.Errorf("issue the %s certificate: %w", name, err)
		}
		out.certificates[name] = p
	}
	return out, nil
}

// certificates are what a person who runs etcd by hand has prepared.
type certificates struct {
	PeerCA, ClientCA pki.Pair
	// Peer and Server are the members', for one another and for clients. PeerName is the common name of the first.
	Peer, Server pki.Pair
	PeerName     string

	client pki.Pair
}

func prepareCertificates(c *v1alpha1.EtcdCluster, now time.Time) (*certificates, error) {
	all, err := issueAll(c, now)
	if err != nil {
		return nil, err
	}
	return &certificates{
		PeerCA:   all.authorities[state.PeerSide],
		ClientCA: all.authorities[state.ClientSide],
		Peer:     all.certificates[state.PeerCertificate],
		Server:   all.certificates[state.ServerCertificate],
		PeerName: resources.PeerCommonName(c),
		client:   all.certificates[state.ClientCertificate],
	}, nil
}

// credentials of the person; those of plain text when nothing was prepared.
func (c *certificates) credentials(context.Context) (credentials, error) {
	if c == nil {
		return credentials{}, nil
	}
	return credentials{CA: c.ClientCA.Cert, Cert: c.client.Cert, Key: c.client.Key}, nil
}
