package integration

import (
	"fmt"
	"strings"
)

const (
	wantCertManager   = "certManager belongs to mode CertManager and is required by it: set the mode, or remove certManager"
	wantSecrets       = "secrets belongs to mode Secrets and is required by it: set the mode, or remove secrets"
	wantNoOtherFields = "mode Disabled uses no certificates: remove the other fields of tls"
	wantSANs          = "extraSANs must be IP addresses or lower-case DNS names"
	wantCertificate   = "certificateLifetime must be a duration such as 8760h or 1h30m, from 2m to 876000h"
	wantCA            = "caLifetime must be a duration such as 87600h or 1h30m, from 5m to 876000h"
	wantGrace         = "clientGrace must be a duration such as 24h, 1h30m or 0s"
	wantSameTransport = "tls.mode cannot be changed from or to Disabled"
)

const (
	issuers = `certManager: {peerIssuer: {name: peers}, clientIssuer: {name: clients}}`
	sources = `secrets: {peer: my-peer, server: my-server, client: my-client}`
)

func refusedTLS() []specCase {
	cases := []specCase{
		{"a mode that does not exist", `{tls: {mode: Automatic}}`,
			`supported values: "Managed", "CertManager", "Secrets", "Disabled"`},
		{"a mode in lower case", `{tls: {mode: managed}}`, `supported values: "Managed"`},
		{"cert-manager without issuers", `{tls: {mode: CertManager}}`, wantCertManager},
		{"issuers without a mode", `{tls: {` + issuers + `}}`, wantCertManager},
		{"issuers in another mode", `{tls: {mode: Managed, ` + issuers + `}}`, wantCertManager},
		{"issuers in mode Secrets", `{tls: {mode: Secrets, ` + issuers + `, ` + sources + `}}`, wantCertManager},
		{"issuers for plain text", `{tls: {mode: Disabled, ` + issuers + `}}`, wantCertManager},
		{"one issuer only", `{tls: {mode: CertManager, certManager: {peerIssuer: {name: x}}}}`, "clientIssuer: Required value"},
		{"an issuer without a name",
			`{tls: {mode: CertManager, certManager: {peerIssuer: {kind: Issuer}, clientIssuer: {name: x}}}}`,
			"peerIssuer.name: Required value"},
		{"an issuer with an empty name",
			`{tls: {mode: CertManager, certManager: {peerIssuer: {name: ""}, clientIssuer: {name: x}}}}`, "peerIssuer.name"},
		{"no Secrets in mode Secrets", `{tls: {mode: Secrets}}`, wantSecrets},
		{"Secrets without a mode", `{tls: {` + sources + `}}`, wantSecrets},
		{"Secrets in another mode", `{tls: {mode: Managed, ` + sources + `}}`, wantSecrets},
		{"Secrets for plain text", `{tls: {mode: Disabled, ` + sources + `}}`, wantSecrets},
		{"one Secret less", `{tls: {mode: Secrets, secrets: {peer: x, server: x}}}`, "secrets.client: Required value"},
		{"a Secret with an empty name", `{tls: {mode: Secrets, secrets: {peer: "", server: x, client: x}}}`, "secrets.peer"},
		{"names for plain text", `{tls: {mode: Disabled, extraSANs: [a.example]}}`, wantNoOtherFields},
		{"a CA for plain text", `{tls: {mode: Disabled, caLifetime: 1h}}`, wantNoOtherFields},
		{"certificates for plain text", `{tls: {mode: Disabled, certificateLifetime: 1h}}`, wantNoOtherFields},
		{"a rotation for plain text", `{tls: {mode: Disabled, caRotation: x}}`, wantNoOtherFields},
		{"a grace period for plain text", `{tls: {mode: Disabled, clientGrace: 1h}}`, wantNoOtherFields},
		{"a name given twice", `{tls: {extraSANs: [a.example, a.example]}}`, "Duplicate value"},
		{"too many names", `{tls: {extraSANs: [` + manyNames(65) + `]}}`, "must have at most 64 items"},
		{"an empty name", `{tls: {extraSANs: [""]}}`, "extraSANs[0]"},
		{"a rotation without a name", `{tls: {caRotation: ""}}`, "caRotation"},
		{"a rotation with a long name", `{tls: {caRotation: ` + strings.Repeat("x", 64) + `}}`, "caRotation"},
	}
	for _, san := range []string{
		"https://etcd.example.com", "etcd.example.com:2379", "ETCD.example.com", "etcd example", "etcd.example.com.",
		".example.com", "etcd..example", "-etcd.example", "etcd-.example", "et_cd.example", "*", "*.", "a.*.example",
		"**.example", "etcd*.example", "10.0.0.0/8", "[::1]", "fe80::1%eth0", "etcd.example\n",
		strings.Repeat("a", 64) + ".example",
	} {
		cases = append(cases, specCase{
			fmt.Sprintf("the name %q", san), fmt.Sprintf(`{tls: {extraSANs: [good.example, %q]}}`, san), wantSANs,
		})
	}
	for field, c := range map[string]struct {
		wanted string
		values []string
	}{
		"certificateLifetime": {wantCertificate, []string{"1m59s", "119s", "0s", "876001h", "876000h1s", "999999999h"}},
		"caLifetime":          {wantCA, []string{"4m59s", "2m", "0s", "876001h", "999999999h"}},
		"clientGrace":         {wantGrace, []string{"999999999h"}},
	} {
		for _, value := range append(c.values, "-1h", "365d", "1y", "8760", "", "h", "1h-30m", "1 h", "30m1h", "1h1h",
			"1.5h", "500ms", "99999999999999999999h") {
			cases = append(cases, specCase{
				fmt.Sprintf("%s %q", field, value), fmt.Sprintf(`{tls: {%s: %q}}`, field, value), c.wanted,
			})
		}
	}
	return cases
}

func manyNames(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n%d.example", i))
	}
	return strings.Join(names, ", ")
}

func acceptedTLS() []specCase {
	return []specCase{
		{name: "TLS by default", spec: `{tls: {}}`},
		{name: "managed certificates", spec: `{tls: {mode: Managed}}`},
		{name: "certificates of cert-manager", spec: `{tls: {mode: CertManager, ` + issuers + `}}`},
		{name: "issuers of another group", spec: `{tls: {mode: CertManager, certManager: {
			peerIssuer: {name: a, kind: ClusterIssuer}, clientIssuer: {name: b, kind: Vault, group: issuers.example.com}}}}`},
		{name: "one's own Secrets", spec: `{tls: {mode: Secrets, ` + sources + `}}`},
		{name: "one's own Secrets with further names",
			spec: `{tls: {mode: Secrets, ` + sources + `, extraSANs: [etcd.example.com]}}`},
		{name: "plain text by explicit choice", spec: `{tls: {mode: Disabled}}`},
		{name: "further names and addresses", spec: `{tls: {extraSANs: [etcd.example.com, "*.etcd.example.com", localhost,
			192.0.2.1, "2001:db8::1", "::1", xn--bcher-kva.example, 1.example, ` + strings.Repeat("a", 63) + `.example]}}`},
		{name: "as many names as are allowed", spec: `{tls: {extraSANs: [` + manyNames(64) + `]}}`},
		{name: "the shortest lifetimes", spec: `{tls: {certificateLifetime: 2m, caLifetime: 5m, clientGrace: 0s}}`},
		{name: "long lifetimes", spec: `{tls: {certificateLifetime: 87600h, caLifetime: 876000h, clientGrace: 720h}}`},
		{name: "lifetimes as Go writes them",
			spec: `{tls: {certificateLifetime: 8760h0m0s, caLifetime: 1h30m0s, clientGrace: 1m30s}}`},
		{name: "a rotation that is asked for", spec: `{tls: {caRotation: "2026-11-21"}}`},
	}
}

func refusedTLSChanges() []changeCase {
	return []changeCase{
		{"from TLS by default to plain text", `{}`, `{tls: {mode: Disabled}}`, wantSameTransport},
		{"from empty tls to plain text", `{tls: {}}`, `{tls: {mode: Disabled}}`, wantSameTransport},
		{"from managed certificates to plain text", `{tls: {mode: Managed}}`, `{tls: {mode: Disabled}}`, wantSameTransport},
		{"from cert-manager to plain text",
			`{tls: {mode: CertManager, ` + issuers + `}}`, `{tls: {mode: Disabled}}`, wantSameTransport},
		{"from Secrets to plain text", `{tls: {mode: Secrets, ` + sources + `}}`, `{tls: {mode: Disabled}}`, wantSameTransport},
		{"from plain text to the default", `{tls: {mode: Disabled}}`, `{}`, wantSameTransport},
		{"from plain text to empty tls", `{tls: {mode: Disabled}}`, `{tls: {}}`, wantSameTransport},
		{"from plain text to managed certificates", `{tls: {mode: Disabled}}`, `{tls: {mode: Managed}}`, wantSameTransport},
		{"from plain text to cert-manager",
			`{tls: {mode: Disabled}}`, `{tls: {mode: CertManager, ` + issuers + `}}`, wantSameTransport},
		{"from plain text to Secrets", `{tls: {mode: Disabled}}`, `{tls: {mode: Secrets, ` + sources + `}}`, wantSameTransport},
	}
}

func acceptedTLSChanges() []changeCase {
	return []changeCase{
		{name: "the default mode by its name", from: `{}`, to: `{tls: {mode: Managed}}`},
		{name: "the default mode without its name", from: `{tls: {mode: Managed}}`, to: `{}`},
		{name: "from managed certificates to cert-manager", from: `{}`, to: `{tls: {mode: CertManager, ` + issuers + `}}`},
		{name: "from cert-manager to Secrets",
			from: `{tls: {mode: CertManager, ` + issuers + `}}`, to: `{tls: {mode: Secrets, ` + sources + `}}`},
		{name: "from Secrets to managed certificates", from: `{tls: {mode: Secrets, ` + sources + `}}`, to: `{}`},
		{name: "another issuer", from: `{tls: {mode: CertManager, ` + issuers + `}}`,
			to: `{tls: {mode: CertManager, certManager: {peerIssuer: {name: a}, clientIssuer: {name: b}}}}`},
		{name: "further names", from: `{tls: {extraSANs: [a.example]}}`, to: `{tls: {extraSANs: [b.example]}}`},
		{name: "a rotation", from: `{tls: {caRotation: a}}`, to: `{tls: {caRotation: b}}`},
		{name: "lifetimes", from: `{}`, to: `{tls: {certificateLifetime: 1h, caLifetime: 2h, clientGrace: 0s}}`},
		{name: "something else of a plain-text cluster",
			from: `{tls: {mode: Disabled}}`, to: `{tls: {mode: Disabled}, replicas: 5}`},
	}
}
