// Maps without time: slices alone.
openSlices(JSON.parse(byId("data").textContent)).start();
