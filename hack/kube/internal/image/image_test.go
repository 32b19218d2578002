package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func sample(t *testing.T) Spec {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!"), 0o700); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(data, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Spec{
		Reference: "example.com/program:v1", Architecture: "arm64", User: "65532:65532", Entrypoint: []string{"/bin/program"},
		Files: []File{{Source: program, Target: "/bin/program"}, {Source: data, Target: "/etc/a/data"}},
	}
}

func TestWriteGivesTheSameBytesAgain(t *testing.T) {
	spec := sample(t)
	var contents [2][]byte
	for i := range contents {
		file := filepath.Join(t.TempDir(), "image.tar")
		if err := Write(spec, file); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(spec.Files[0].Source, later, later); err != nil {
			t.Fatal(err)
		}
		var err error
		if contents[i], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(contents[0], contents[1]) {
		t.Error("two images of the same files differ")
	}
}

func TestWrittenImageHoldsWhatWasAsked(t *testing.T) {
	spec := sample(t)
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := Write(spec, file); err != nil {
		t.Fatal(err)
	}
	read, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := read.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	got := []string{config.Architecture, config.OS, config.Config.User, strings.Join(config.Config.Entrypoint, " ")}
	if diff := cmp.Diff([]string{"arm64", "linux", "65532:65532", "/bin/program"}, got); diff != "" {
		t.Errorf("configuration differs (-want +got):\n%s", diff)
	}
	content, err := layer(spec)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"bin/ 755", "etc/ 755", "etc/a/ 755", "tmp/ 1777", "bin/program 755", "etc/a/data 644",
	}
	if diff := cmp.Diff(want, entries(t, content)); diff != "" {
		t.Errorf("files differ (-want +got):\n%s", diff)
	}
}

func entries(t *testing.T, content []byte) []string {
	t.Helper()
	var names []string
	for archive := tar.NewReader(bytes.NewReader(content)); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name+" "+octal(header.Mode))
	}
}

func octal(mode int64) string {
	digits := ""
	for ; mode > 0; mode /= 8 {
		digits = string(rune('0'+mode%8)) + digits
	}
	return digits
}

func TestWriteRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Spec)
	}{
		{"a reference that is none", func(s *Spec) { s.Reference = "A b" }},
		{"a relative target", func(s *Spec) { s.Files[0].Target = "bin/x" }},
		{"a target that climbs", func(s *Spec) { s.Files[0].Target = "/bin/../../x" }},
		{"a missing source", func(s *Spec) { s.Files[0].Source = "/does/not/exist" }},
		{"a directory as source", func(s *Spec) { s.Files[0].Source = "/" }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			spec := sample(t)
			test.change(&spec)
			file := filepath.Join(t.TempDir(), "image.tar")
			if err := Write(spec, file); err == nil {
				t.Error("it was accepted")
			}
			if _, err := os.Stat(file); err == nil {
				t.Error("a file was left")
			}
		})
	}
}
