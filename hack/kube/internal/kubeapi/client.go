// Package kubeapi asks the apiserver the few questions that bringing a cluster up needs.
package kubeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

const requestTimeout = 5 * time.Second

// Client reads from one apiserver as the user of a kubeconfig.
type Client struct {
	server string
	http   *http.Client
}

type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server string `json:"server"`
			CA     string `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		User struct {
			Certificate string `json:"client-certificate-data"`
			Key         string `json:"client-key-data"`
		} `json:"user"`
	} `json:"users"`
}

// NewClient reads a kubeconfig that package pki has written.
func NewClient(file string) (*Client, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	var config kubeconfig
	if err := yaml.Unmarshal(content, &config); err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", file, err)
	}
	if len(config.Clusters) != 1 || len(config.Users) != 1 {
		return nil, fmt.Errorf("kubeconfig %s must hold one cluster and one user", file)
	}
	tlsConfig, err := clientTLS(config)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", file, err)
	}
	return &Client{
		server: config.Clusters[0].Cluster.Server,
		http:   &http.Client{Timeout: requestTimeout, Transport: &http.Transport{TLSClientConfig: tlsConfig}},
	}, nil
}

func clientTLS(config kubeconfig) (*tls.Config, error) {
	var decoded [3][]byte
	encoded := [3]string{config.Clusters[0].Cluster.CA, config.Users[0].User.Certificate, config.Users[0].User.Key}
	for i, text := range encoded {
		var err error
		if decoded[i], err = base64.StdEncoding.DecodeString(text); err != nil {
			return nil, err
		}
	}
	certificate, err := tls.X509KeyPair(decoded[1], decoded[2])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(decoded[0]) {
		return nil, errors.New("no certificate authority")
	}
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, nil
}

// Ready returns nil when the apiserver says that it is ready.
func (c *Client) Ready() error { return c.get("/readyz", nil) }

// Node is what we want to know of a Node.
type Node struct {
	Name  string
	Ready bool
}

// Nodes lists the Nodes.
func (c *Client) Nodes() ([]Node, error) {
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Status struct {
				Conditions []struct {
					Type   string `json:"type"`
					Status string `json:"status"`
				} `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := c.get("/api/v1/nodes", &list); err != nil {
		return nil, err
	}
	nodes := make([]Node, 0, len(list.Items))
	for _, item := range list.Items {
		node := Node{Name: item.Metadata.Name}
		for _, condition := range item.Status.Conditions {
			node.Ready = node.Ready || condition.Type == "Ready" && condition.Status == "True"
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// StorageClassExists asks for a StorageClass.
func (c *Client) StorageClassExists(name string) error {
	return c.get("/apis/storage.k8s.io/v1/storageclasses/"+name, nil)
}

func (c *Client) get(path string, into any) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, c.server+path, nil)
	if err != nil {
		return fmt.Errorf("ask the apiserver: %w", err)
	}
	request.Header.Set("Accept", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("ask the apiserver: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("ask the apiserver: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the apiserver for %s: %s: %s", path, response.Status, strings.TrimSpace(string(body)))
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("ask the apiserver for %s: %w", path, err)
	}
	return nil
}
