package main

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/neap-project/neap/libs/adapters/cloud/awssim"
	"github.com/neap-project/neap/libs/fleet"
	"github.com/neap-project/neap/libs/fleet/catalogue"
	"github.com/neap-project/neap/libs/fleet/sim"
)

// TestCatalogueRefresh: what AWS's APIs serve comes back as a table, type by type.
func TestCatalogueRefresh(t *testing.T) {
	world, err := sim.New(sim.Config{Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	want := servedCatalogue(t, world)
	server := httptest.NewServer(awssim.New(world, awssim.Options{}))
	defer server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "any")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "any")

	file := filepath.Join(t.TempDir(), "types.csv")
	out, errs, code := neap(t, "catalogue", "refresh", "--region", "us-east-1", "--aws-endpoint", server.URL, "--output", file)
	if code != 0 || out != "" {
		t.Fatalf("code %d\n%s%s", code, out, errs)
	}
	for _, words := range []string{"reading instance types ... 13", "reading offers in zones", "reading on-demand prices", "reading spot prices", "wrote 13"} {
		if !strings.Contains(errs, words) {
			t.Errorf("progress does not say %q:\n%s", words, errs)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	table, err := catalogue.Read(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	got := table.Types
	if table.Region != "us-east-1" || !strings.HasPrefix(table.Date, "20") || !strings.Contains(strings.Join(table.Sources, "\n"), "DescribeInstanceTypes") {
		t.Errorf("region %q, date %q, sources %q", table.Region, table.Date, table.Sources)
	}
	if len(got) != len(want) {
		t.Fatalf("%d types, served are %d", len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("read %+v\nserved %+v", got[i], want[i])
		}
	}
	out, _, code = neap(t, "catalogue", "refresh", "--region", "us-east-1", "--aws-endpoint", server.URL, "-o", "-")
	if code != 0 || !strings.HasPrefix(out, "# Instance types of EC2 in us-east-1") {
		t.Errorf("to the standard output: code %d, %.100s", code, out)
	}
}

// servedCatalogue is the built-in table with the zones and spot prices of a world.
func servedCatalogue(t *testing.T, w *sim.World) []catalogue.Type {
	t.Helper()
	table, err := catalogue.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	types := table.Types
	zones, spot, places := map[string][]string{}, map[string]fleet.Price{}, map[string]fleet.Price{}
	offers := &sim.DescribeInstanceTypeOfferingsInput{LocationType: "availability-zone"}
	for {
		page, err := w.DescribeInstanceTypeOfferings(offers)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.InstanceTypeOfferings {
			zones[o.InstanceType] = append(zones[o.InstanceType], strings.TrimPrefix(o.Location, "us-east-1"))
		}
		if offers.NextToken = page.NextToken; offers.NextToken == "" {
			break
		}
	}
	prices := &sim.DescribeSpotPriceHistoryInput{StartTime: sim.Timestamp{Time: w.Now()}, ProductDescriptions: []string{"Linux/UNIX"}}
	for {
		page, err := w.DescribeSpotPriceHistory(prices)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range page.SpotPriceHistory {
			price, err := strconv.ParseFloat(p.SpotPrice, 64)
			if err != nil {
				t.Fatal(err)
			}
			spot[p.InstanceType] += fleet.USD(price)
			places[p.InstanceType]++
		}
		if prices.NextToken = page.NextToken; prices.NextToken == "" {
			break
		}
	}
	for i := range types {
		slices.Sort(zones[types[i].Name])
		types[i].Zones, types[i].Spot = zones[types[i].Name], 0
		if n := places[types[i].Name]; n > 0 {
			types[i].Spot = spot[types[i].Name] / n
		}
	}
	return types
}

// TestCatalogueShow: types by name and by family, for people and for programs.
func TestCatalogueShow(t *testing.T) {
	out, errs, code := neap(t, "catalogue", "show", "g5.xlarge", "p4d")
	if code != 0 || errs != "" {
		t.Fatalf("code %d\n%s", code, errs)
	}
	for _, words := range []string{"TYPE", "ON-DEMAND", "g5.xlarge     4      16 GiB    x86_64", "1 a10g", "p4d.24xlarge  96     1152 GiB", "# Instance types of EC2 in us-east-1"} {
		if !strings.Contains(out, words) {
			t.Errorf("no %q in\n%s", words, out)
		}
	}
	out, _, _ = neap(t, "catalogue", "show", "-o", "json")
	var document struct {
		Sources []string
		Types   []catalogue.Type
	}
	if err := json.Unmarshal([]byte(out), &document); err != nil || len(document.Types) < 1000 || len(document.Sources) == 0 {
		t.Errorf("json: %v, %d types", err, len(document.Types))
	}
	_, errs, code = neap(t, "catalogue", "show", "q9")
	if code != exitInput || !strings.Contains(errs, `neither a type nor a family "q9"`) {
		t.Errorf("code %d, %s", code, errs)
	}
	_, errs, code = neap(t, "catalogue", "refresh")
	if code != exitInput || !strings.Contains(errs, "--output") {
		t.Errorf("code %d, %s", code, errs)
	}
}
