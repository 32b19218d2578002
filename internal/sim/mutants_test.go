package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mutantVariable names the mutant that a test binary with mutants is to be.
const mutantVariable = "QUORATE_MUTANT"

// TestMutantsAreCaught builds the simulation with deliberate bugs, by an overlay that is never written to the tree, and
// has it catch each of them: a bug that no schedule shows is a hole in the invariants or in the schedules. All mutants
// are in one binary, which is one of them at a time; as none of them it has to pass the schedule that showed the bug. With
// SIM_RUNS the schedules are new ones each time, else always the same.
func TestMutantsAreCaught(t *testing.T) {
	if os.Getenv(mutantVariable) != "" {
		t.Skip("this is a mutant")
	}
	binary := buildMutants(t)
	seed, limit := uint64(1), 150
	if os.Getenv("SIM_RUNS") != "" {
		seed, limit = uint64(time.Now().UnixNano()), 4000
		t.Logf("seed %d", seed)
	}
	for _, m := range mutants() {
		t.Run(m.name, func(t *testing.T) {
			out, failed := runMutant(t, binary, m.schedules(), m.name, m.focus, seed, limit)
			found := regexp.MustCompile(`after (\d+) tests: (.*)(?s:.*)-rapid.seed=(\d+)`).FindStringSubmatch(out)
			switch {
			case !failed:
				t.Fatalf("not caught in %d schedules: %s", limit, m.breaks)
			case found == nil || !strings.Contains(out, "FAILURE"):
				t.Fatalf("it fails, but breaks no invariant:\n%.2000s", out)
			}
			t.Logf("caught by schedule %s: %s", found[1], found[2])
			schedule, err := strconv.ParseUint(found[3], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if out, failed := runMutant(t, binary, m.schedules(), "none", m.focus, schedule, 1); failed {
				t.Errorf("the schedule with the seed %d fails without the bug, too:\n%.2000s", schedule, out)
			}
		})
	}
}

// runMutant runs schedules until one fails.
func runMutant(
	t *testing.T, binary, test, name, focus string, seed uint64, limit int,
) (out string, failed bool) {
	t.Helper()
	cmd := exec.Command(binary, "-test.run=^"+test+"$", "-test.timeout=20m", "-rapid.nofailfile",
		"-rapid.shrinktime=1ns", "-rapid.seed="+strconv.FormatUint(seed, 10), fmt.Sprint("-rapid.checks=", limit))
	cmd.Env = append(os.Environ(), mutantVariable+"="+name, focusVariable+"="+focus, "SIM_RUNS=")
	b, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(b), err != nil
}

// buildMutants builds the test binary of this package with all mutants in it.
func buildMutants(t *testing.T) string {
	t.Helper()
	dir, root := t.TempDir(), moduleRoot(t)
	overlay := map[string]string{}
	sources := map[string]string{}
	for _, m := range mutants() {
		for _, e := range m.edits {
			path := filepath.Join(root, e.file)
			if _, read := sources[path]; !read {
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatalf("mutant %q no longer applies: %v", m.name, err)
				}
				sources[path] = string(b)
			}
			if n := strings.Count(sources[path], e.old); n != 1 {
				t.Fatalf("mutant %q no longer applies: %s contains %d times, instead of once:\n%s", m.name, e.file, n, e.old)
			}
			mutated := strings.ReplaceAll(e.mutated, "MUTANT", fmt.Sprintf("mutant(%q)", m.name))
			sources[path] = strings.Replace(sources[path], e.old, mutated, 1)
			// The switch comes along as one more file of the package.
			name := filepath.Join(filepath.Dir(path), "mutant_switch.go")
			sources[name] = switchSource(sources[path])
		}
	}
	for path, content := range sources {
		replacement := filepath.Join(dir, strconv.Itoa(len(overlay))+"-"+filepath.Base(path))
		write(t, replacement, content)
		overlay[path] = replacement
	}
	b, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "overlay.json"), string(b))
	binary := filepath.Join(dir, "mutants.test")
	build := exec.Command("go", "test", "-c", "-vet=off", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the mutants do not compile: %v\n%s", err, out)
	}
	return binary
}

// switchSource is a file of the same package as the source, by which it knows which mutant it is.
func switchSource(source string) string {
	pkg := regexp.MustCompile(`(?m)^package \w+$`).FindString(source)
	return pkg + "\n\nimport \"os\"\n\nfunc mutant(name string) bool { return os.Getenv(\"" + mutantVariable +
		"\") == name }\n"
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func moduleRoot(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return root
}
