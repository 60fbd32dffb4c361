import { openAsBlob } from 'node:fs';
import { ParquetFile } from 'parquet-wasm';
import { tableFromIPC } from '@uwdata/flechette';
import { DuckDBInstance } from '@duckdb/node-api';
const i = await DuckDBInstance.create(':memory:', {threads:'2', memory_limit:'512MB', autoinstall_known_extensions:'false', autoload_known_extensions:'false'});
const c = await i.connect();
await c.run(`copy (select range as row, 'r'||range as id, 'in é '||range as input, case when range%3=0 then null else 'out'||range end as output from range(5000)) to '/tmp/cur/a.parquet' (format parquet, compression zstd, row_group_size 2048)`);
const f = await ParquetFile.fromFile(await openAsBlob('/tmp/cur/a.parquet'));
console.log(f.metadata().numRowGroups(), f.metadata().fileMetadata().numRows(), f.metadata().fileMetadata().createdBy());
const s = await f.stream({columns:['id','input','output'], limit: 3000, batchSize: 4096, concurrency:1});
for await (const b of s as unknown as AsyncIterable<import('parquet-wasm').RecordBatch>) { const n=b.numRows; const t = tableFromIPC(b.intoIPCStream()); console.log(n, t.numRows, t.at(0), t.at(t.numRows-1), t.names); }
f.free();
try { await ParquetFile.fromFile(new Blob(['garbage garbage garbage'])) } catch (e) { console.log('ERR', typeof e, String(e)); }
await c.run(`copy (select 1 as a where false) to '/tmp/cur/e.parquet' (format parquet)`);
const g = await ParquetFile.fromFile(await openAsBlob('/tmp/cur/e.parquet'));
try { for await (const b of await g.stream({columns:['id']}) as any) console.log('b', b.numRows); } catch (e) { console.log('ERR2', String(e)); }
console.log(g.schema().intoIPCStream().length);
const r = await c.runAndReadAll("select version() v, current_setting('memory_limit'), (select string_agg(extension_name) from duckdb_extensions() where loaded)");
console.log(r.getRows());
