package pki

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
)

const kubeconfigTemplate = `apiVersion: v1
kind: Config
clusters:
- name: quorate
  cluster:
    server: %s
    certificate-authority-data: %s
contexts:
- name: quorate
  context: {cluster: quorate, user: %s}
current-context: quorate
users:
- name: %[3]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
`

// WriteKubeconfig issues a client certificate and writes a kubeconfig that holds it.
func (a *Authority) WriteKubeconfig(file, server string, subject Subject) error {
	pair, err := a.Issue(subject)
	if err != nil {
		return err
	}
	var encoded []string
	for _, name := range []string{a.Files().Certificate, pair.Certificate, pair.Key} {
		content, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("write kubeconfig %s: %w", file, err)
		}
		encoded = append(encoded, base64.StdEncoding.EncodeToString(content))
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("write kubeconfig %s: %w", file, err)
	}
	content := fmt.Sprintf(kubeconfigTemplate, server, encoded[0], subject.File, encoded[1], encoded[2])
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		return fmt.Errorf("write kubeconfig %s: %w", file, err)
	}
	return nil
}
