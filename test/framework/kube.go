package framework

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Provider says whose Kubernetes is used.
type Provider string

const (
	// Local is the Kubernetes that hack/kube runs on this machine.
	Local Provider = "local"
	// Current is the Kubernetes of the current kubeconfig.
	Current Provider = "current"
)

const defaultKubeDir = "/var/lib/quorate-kube"

// Kube runs the commands that bring Kubernetes up and act on it. Commands are run in the checkout's top directory, as
// a person would type them.
type Kube struct {
	// Root is the checkout's top directory.
	Root     string
	Provider Provider
	// Log gets the output of long commands; nil discards it.
	Log io.Writer
}

// NewKube chooses the provider by the environment variable PROVIDER: local (the default) or current.
func NewKube() (*Kube, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	provider := Provider(os.Getenv("PROVIDER"))
	switch provider {
	case "":
		provider = Local
	case Local, Current:
	default:
		return nil, fmt.Errorf("PROVIDER is %q: set it to %q (the default) or %q", provider, Local, Current)
	}
	return &Kube{Root: root, Provider: provider}, nil
}

// Dir is where the local Kubernetes keeps its state.
func (k *Kube) Dir() string {
	if dir := os.Getenv("QUORATE_KUBE_DIR"); dir != "" {
		return dir
	}
	return defaultKubeDir
}

// Kubeconfig is the file of the local provider; empty when the usual rules find the current one.
func (k *Kube) Kubeconfig() string {
	if k.Provider == Current {
		return ""
	}
	return filepath.Join(k.Dir(), "kubeconfig")
}

// Tool is a command of bin/kube, such as up or load.
func (k *Kube) Tool(args ...string) []string { return append([]string{"bin/kube"}, args...) }

// Kubectl is a kubectl command against this Kubernetes.
func (k *Kube) Kubectl(args ...string) []string {
	if k.Provider == Current {
		return append([]string{"kubectl"}, args...)
	}
	return k.Tool(append([]string{"kubectl"}, args...)...)
}

// ErrLocalOnly is returned for faults that only the local provider can cause.
var ErrLocalOnly = errors.New("only the local provider can do this: unset PROVIDER")

// Node lets a node fail or brings it back; verb is kill, start, partition or heal.
func (k *Kube) Node(ctx context.Context, verb, node string) error {
	if k.Provider != Local {
		return fmt.Errorf("node %s: %w", verb, ErrLocalOnly)
	}
	_, err := k.Run(ctx, k.Tool("node", verb, node)...)
	return err
}

// NodeExec runs a command of the host in a node's network, with the cluster's DNS, and returns its output.
func (k *Kube) NodeExec(ctx context.Context, node string, argv ...string) (string, error) {
	if k.Provider != Local {
		return "", fmt.Errorf("run a command on %s: %w", node, ErrLocalOnly)
	}
	return k.Run(ctx, k.Tool(append([]string{"exec", node, "--"}, argv...)...)...)
}

// Run runs a command and returns its standard output; a failure tells the command and, without Log, what it printed.
// Arguments of the form NAME=value before the program are its environment, as in a shell.
func (k *Kube) Run(ctx context.Context, argv ...string) (string, error) {
	program := slices.IndexFunc(argv, func(s string) bool { return !isAssignment(s) })
	if program < 0 {
		return "", fmt.Errorf("run %q: it names no program", argv)
	}
	cmd := exec.CommandContext(ctx, argv[program], argv[program+1:]...) //nolint:gosec // commands of this package
	cmd.Dir = k.Root
	cmd.Env = append(os.Environ(), argv[:program]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if k.Log != nil {
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, k.Log), io.MultiWriter(&stderr, k.Log)
	}
	if strings.HasPrefix(cmd.Path, "bin/") {
		cmd.Path = filepath.Join(k.Root, cmd.Path)
	}
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.String(), nil
	case k.Log != nil: // it has told what the command printed
		return stdout.String(), fmt.Errorf("%s: %w", CommandLine(argv), err)
	default:
		said := strings.TrimSpace(stderr.String() + stdout.String())
		return stdout.String(), fmt.Errorf("%s: %w\n%s", CommandLine(argv), err, said)
	}
}

func isAssignment(word string) bool {
	name, _, found := strings.Cut(word, "=")
	return found && name != "" && strings.ToUpper(name) == name && !strings.ContainsAny(name, "-./ ")
}

// CommandLine is the command as a person would type it in a shell.
func CommandLine(argv []string) string {
	words := make([]string, 0, len(argv))
	for _, word := range argv {
		if strings.ContainsAny(word, " '\"$*?;&|<>()[]{}\\") || word == "" {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
