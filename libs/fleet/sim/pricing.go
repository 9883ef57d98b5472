package sim

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// GetProducts tells on-demand prices of EC2 as the Pricing API does, for Linux and Windows on
// shared hosts (and for bare metal, dedicated).
func (w *World) GetProducts(in *GetProductsInput) (*GetProductsOutput, error) {
	if in.ServiceCode != "AmazonEC2" {
		return nil, clientError("InvalidParameterException", "Invalid service code %q: the simulated price list has AmazonEC2 only", clip(in.ServiceCode))
	}
	const most = 100
	after, ok := placeIn("products", in.NextToken)
	if !ok {
		return nil, clientError("InvalidNextTokenException", "The pagination token is invalid.")
	}
	if in.MaxResults < 0 || in.MaxResults > most {
		return nil, clientError("InvalidParameterException", "MaxResults must be between 1 and %d: %d", most, in.MaxResults)
	}
	limit := in.MaxResults
	if limit == 0 {
		limit = most
	}
	var matching []product
	for _, t := range w.types {
		for _, system := range t.systems() {
			if p := w.product(t, system); p.matches(in.Filters) {
				matching = append(matching, p)
			}
		}
	}
	page, next := pageOf(matching, after, limit)
	out := &GetProductsOutput{FormatVersion: "aws_v1", PriceList: []string{}, NextToken: token("products", next)}
	for _, p := range page {
		text, err := json.Marshal(p.describe())
		if err != nil {
			return nil, &Error{Code: "InternalErrorException", Message: err.Error(), Fault: FaultServer}
		}
		out.PriceList = append(out.PriceList, string(text))
	}
	return out, nil
}

// product is the attributes of a price, by which it is found.
type product struct {
	kind       *instanceType
	system     string
	family     string
	attributes map[string]string
	w          *World
}

// The operating systems that have prices, as the price list and the spot price history name
// them.
const (
	systemLinux   = "Linux"
	systemWindows = "Windows"
	productLinux  = "Linux/UNIX"
)

// systems are the operating systems that are sold with a type.
func (t *instanceType) systems() []string {
	if t.arm {
		return []string{systemLinux}
	}
	return []string{systemLinux, systemWindows}
}

// windowsLicence is what Windows costs per vCPU and hour, in millionths of USD: the
// difference that EC2's price list has for nearly all types. Burstable ones pay less; which,
// the world does not know.
const windowsLicence = 46_000

// withLicence is a price of Linux with what the image of an instance costs on top.
func (t *instanceType) withLicence(price int64, windows bool) int64 {
	if windows {
		return price + windowsLicence*t.vcpus
	}
	return price
}

func (w *World) product(t *instanceType, system string) product {
	p := product{w: w, kind: t, system: system, family: "Compute Instance", attributes: map[string]string{
		"instanceType": t.name, "servicecode": "AmazonEC2", "regionCode": w.cfg.Region, "locationType": "AWS Region",
		"operatingSystem": system, "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used",
		"marketoption": "OnDemand", "licenseModel": "No License required", "operation": "RunInstances",
		"vcpu": strconv.FormatInt(t.vcpus, 10), "memory": fmt.Sprintf("%g GiB", float64(t.memory)/1024),
		"currentGeneration": "Yes", "usagetype": "BoxUsage:" + t.name,
	}}
	if t.metal {
		p.family, p.attributes["tenancy"] = "Compute Instance (bare metal)", "Dedicated"
	}
	return p
}

func (p product) matches(filters []ProductFilter) bool {
	for _, f := range filters {
		value := p.attributes[f.Field]
		switch f.Field {
		case "productFamily":
			value = p.family
		case "serviceCode", "ServiceCode":
			value = "AmazonEC2"
		}
		if value != f.Value {
			return false
		}
	}
	return true
}

// describe is one item of a price list.
func (p product) describe() map[string]any {
	t := p.kind
	words, price := []string{"sku", t.name}, t.withLicence(t.onDemand, p.system == systemWindows)
	if p.system != systemLinux {
		words = append(words, p.system)
	}
	sku := fmt.Sprintf("%016X", p.w.hash(words...))
	const offer, rate = "JRTCKXETXF", "6YS6EN2CT7" // the codes of on-demand offers and hourly rates
	dimension := map[string]any{
		"unit": "Hrs", "beginRange": "0", "endRange": "Inf", "rateCode": sku + "." + offer + "." + rate, "appliesTo": []string{},
		"description":  fmt.Sprintf("$%s per On Demand %s %s Instance Hour", dollars(price), p.system, t.name),
		"pricePerUnit": map[string]string{"USD": dollars(price) + "0000"},
	}
	return map[string]any{
		"product":         map[string]any{"productFamily": p.family, "attributes": p.attributes, "sku": sku},
		"serviceCode":     "AmazonEC2",
		"version":         "20260701000000",
		"publicationDate": "2026-07-01T00:00:00Z",
		"terms": map[string]any{"OnDemand": map[string]any{sku + "." + offer: map[string]any{
			"sku": sku, "offerTermCode": offer, "effectiveDate": "2026-07-01T00:00:00Z", "termAttributes": map[string]string{},
			"priceDimensions": map[string]any{sku + "." + offer + "." + rate: dimension},
		}}},
	}
}
