// until -- the only waiting in tests: looks again every 10 ms, and fails with the last value seen.
export async function until(what, look, ms = 10_000) {
    const end = Date.now() + ms;
    let seen;
    for (;;) {
        try {
            seen = await look();
            if (seen) return seen;
        } catch (error) {
            seen = error;
        }
        if (Date.now() > end) {
            const shown = seen instanceof Error ? seen.message : JSON.stringify(seen);
            throw new Error(`waited ${ms} ms for ${what}; last seen: ${shown}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}
